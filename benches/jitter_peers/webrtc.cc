// WebRTC's NetEQ behind the protocol of benches/jitter_pipe.rs: packets and ticks in, frames out, in virtual time.
//
// It is set up as a WebRTC call has it, with room for 4 s of packets; its clock is the harness's, moved before each call.

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

#include "api/audio/audio_frame.h"
#include "api/audio_codecs/builtin_audio_decoder_factory.h"
#include "api/neteq/neteq.h"
#include "api/rtp_headers.h"
#include "modules/audio_coding/neteq/default_neteq_factory.h"
#include "rtc_base/logging.h"
#include "system_wrappers/include/clock.h"

namespace {

constexpr int kPayloadType = 0;
constexpr int64_t kStartUs = 1'000'000'000;

template <typename T>
bool Take(T* value) {
  return fread(value, sizeof *value, 1, stdin) == 1;
}

template <typename T>
void Give(const T* values, size_t count) {
  fwrite(values, sizeof *values, count, stdout);
}

struct Header {
  char magic[4];
  uint32_t rate, frame, codec;
};

class Buffer {
 public:
  explicit Buffer(const Header& header) : clock_(kStartUs), frame_(header.frame) {
    webrtc::NetEq::Config config;
    config.sample_rate_hz = static_cast<int>(header.rate);
    config.max_packets_in_buffer = 200;
    neteq_ = webrtc::DefaultNetEqFactory().CreateNetEq(config, webrtc::CreateBuiltinAudioDecoderFactory(), &clock_);
    const char* name = header.codec == 0 ? "PCMU" : "L16";
    neteq_->SetCodecs({{kPayloadType, webrtc::SdpAudioFormat(name, config.sample_rate_hz, 1)}});
  }

  void Push(double arrival_ms, uint16_t sequence, uint32_t timestamp, const std::vector<uint8_t>& payload) {
    MoveTo(arrival_ms);
    webrtc::RTPHeader header;
    header.payloadType = kPayloadType;
    header.sequenceNumber = sequence;
    header.timestamp = timestamp;
    header.ssrc = 1;
    neteq_->InsertPacket(header, payload);
  }

  std::vector<int16_t> Pull(double now_ms) {
    MoveTo(now_ms);
    webrtc::AudioFrame audio;
    bool is_muted = false;
    neteq_->GetAudio(&audio, &is_muted);
    std::vector<int16_t> samples(frame_);
    if (!is_muted && !audio.muted() && audio.samples_per_channel_ == frame_) {
      memcpy(samples.data(), audio.data(), frame_ * sizeof samples[0]);
    }
    return samples;
  }

 private:
  void MoveTo(double ms) {
    int64_t ahead = kStartUs + static_cast<int64_t>(ms * 1000) - clock_.TimeInMicroseconds();
    if (ahead > 0) clock_.AdvanceTimeMicroseconds(ahead);
  }

  webrtc::SimulatedClock clock_;
  size_t frame_;
  std::unique_ptr<webrtc::NetEq> neteq_;
};

}  // namespace

int main() {
  rtc::LogMessage::LogToDebug(rtc::LS_NONE);
  Header header;
  // NetEQ gives 10 ms at a time.
  if (!Take(&header) || memcmp(header.magic, "JBT1", 4) != 0 || header.frame != header.rate / 100) return 2;
  Buffer buffer(header);
  for (int kind; (kind = getchar()) != EOF;) {
    double ms;
    uint16_t sequence, length;
    uint32_t timestamp;
    if (kind == 'P' && Take(&ms) && Take(&sequence) && Take(&timestamp) && Take(&length)) {
      std::vector<uint8_t> payload(length);
      if (length > 0 && fread(payload.data(), length, 1, stdin) != 1) return 2;
      buffer.Push(ms, sequence, timestamp, payload);
    } else if (kind == 'G' && Take(&ms)) {
      std::vector<int16_t> samples = buffer.Pull(ms);
      Give(samples.data(), samples.size());
      fflush(stdout);
    } else if (kind == 'E') {
      uint32_t size = 2;
      Give(&size, 1);
      Give("{}", 2);
      return fflush(stdout);
    } else {
      return 2;
    }
  }
  return 2;
}
