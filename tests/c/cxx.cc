// The header in C++: an encoder behind a unique_ptr.
#include <cstdint>
#include <memory>
#include <vector>

#include "talkpath.h"

int main()
{
    TalkpathEncoder *raw = nullptr;
    if (talkpath_encoder_new(TALKPATH_CODEC_G722, 16000, &raw) != TALKPATH_STATUS_OK) {
        return 1;
    }
    const std::unique_ptr<TalkpathEncoder, decltype(&talkpath_encoder_free)> encoder(raw, talkpath_encoder_free);
    const std::vector<std::int16_t> samples(320);
    std::vector<std::uint8_t> bytes(160);
    std::size_t written = 0;
    const auto status =
        talkpath_encoder_encode(encoder.get(), samples.data(), samples.size(), bytes.data(), bytes.size(), &written);
    return status == TALKPATH_STATUS_OK && written == 160 ? 0 : 1;
}
