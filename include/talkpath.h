/*
 * talkpath: an audio core for voice agents. MIT OR Apache-2.0.
 *
 * Generated from the Rust source; do not edit. A test compares the two.
 *
 * Conventions
 *  - A function that can fail returns a TalkpathStatus. Outputs go by pointer, come last, and are written only when it
 *    returns TALKPATH_STATUS_OK. talkpath_status_str() names a status, talkpath_last_error() copies the text of the
 *    last failure on the calling thread.
 *  - Every pointer is checked for NULL. An input of length 0 may be NULL, and so may an output with room for 0.
 *  - What a ..._new, ..._take or ..._accept function hands over is yours: free it once, by the ..._free of its type.
 *    Freeing NULL does nothing. Texts that a function returns are static; what you pass stays yours, and is not kept.
 *  - One object is used by one thread at a time; different objects never get in each other's way. What may be called
 *    from any thread at any time says so. "Real-time safe" means: it neither allocates nor locks nor makes a system
 *    call, unless it fails.
 *  - Samples are 16-bit signed, mono, in the machine's byte order. Lengths and rooms are in samples or bytes as named;
 *    times are in microseconds (_us) or milliseconds (_ms), rates in Hz (_hz), levels in dB of full scale (_dbfs).
 *  - Structures of options begin with their size, the program's own sizeof. A later library fills in what an older
 *    program does not know.
 *  - No function panics into C or leaves by longjmp; the library installs no signal handler and writes to no stream.
 *
 * The library's soname changes with TALKPATH_ABI_VERSION. Statuses, events and constants are only ever added.
 */


#ifndef TALKPATH_H
#define TALKPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The version of the binary interface that this header describes: it changes when a program must be compiled anew.
#define TALKPATH_ABI_VERSION 0

// Signed linear, 16 bits, little-endian.
#define TALKPATH_CODEC_SLIN 0

// Signed linear, 16 bits, big-endian: RTP's `L16`.
#define TALKPATH_CODEC_SLIN_BE 1

// G.711 mu-law.
#define TALKPATH_CODEC_ULAW 2

// G.711 A-law.
#define TALKPATH_CODEC_ALAW 3

// G.722 at 64 kbit/s; its rate is 16,000 Hz.
#define TALKPATH_CODEC_G722 4

// Opus; its rate is 8,000, 12,000, 16,000, 24,000 or 48,000 Hz.
#define TALKPATH_CODEC_OPUS 5

// Quality `phone` of talkpath_resampler_new: 2.5 ms of delay with 8 kHz on one side.
#define TALKPATH_QUALITY_PHONE 0

// Quality `studio` of talkpath_resampler_new: sharper, 4.5 ms of delay.
#define TALKPATH_QUALITY_STUDIO 1

// No detection; only in TalkpathSessionConfig.
#define TALKPATH_VAD_NONE 0

// A small network that knows the noise of the call: the cheapest that is good.
#define TALKPATH_VAD_PHONE 1

// The same, and Silero's network where that may be speech: the best.
#define TALKPATH_VAD_SILERO 2

// No edge of talkpath_speech_gate_update.
#define TALKPATH_EDGE_NONE 0

// Speech began, `ago_us` before the end of the frame.
#define TALKPATH_EDGE_ONSET 1

// Speech ended, `ago_us` before the end of the frame.
#define TALKPATH_EDGE_OFFSET 2

// Playout of TalkpathPlayout: as early as all but a few packets allow.
#define TALKPATH_PLAYOUT_ADAPTIVE 0

// Playout of TalkpathPlayout: always `max_ms` after the fastest packets.
#define TALKPATH_PLAYOUT_FIXED 1

// Playout of TalkpathPlayout: at once, waiting at most `max_ms` in a gap, for a listener without a clock.
#define TALKPATH_PLAYOUT_ASAP 2

// What became of a packet: it waits to be played.
#define TALKPATH_ARRIVAL_HELD 0

// What became of a packet: its place had been played; it was discarded.
#define TALKPATH_ARRIVAL_LATE 1

// What became of a packet: it had been there; it was discarded.
#define TALKPATH_ARRIVAL_DUPLICATE 2

// What became of a packet: it is no payload of the codec; it was discarded, and will count as lost.
#define TALKPATH_ARRIVAL_MALFORMED 3

// What a frame is made of: received samples, at least in part.
#define TALKPATH_PLAYED_AUDIO 0

// What a frame is made of: made up for lost or late samples.
#define TALKPATH_PLAYED_CONCEALED 1

// What a frame is made of: made up to gain delay, in a quiet place.
#define TALKPATH_PLAYED_INSERTED 2

// What a frame is made of: background or silence, as the sender pauses or nothing has come yet.
#define TALKPATH_PLAYED_REST 3

// Echo is cancelled once the line has shown some; where there is none it costs nearly nothing.
#define TALKPATH_ECHO_AUTO 0

// Echo is cancelled from the first sign of some on, and for good: for lines that are known to have it.
#define TALKPATH_ECHO_ON 1

// Echo is not cancelled.
#define TALKPATH_ECHO_OFF 2

// How a position is known: it was written to the wire.
#define TALKPATH_CERTAINTY_WRITTEN 0

// How a position is known: the far end has confirmed it.
#define TALKPATH_CERTAINTY_ACKED 1

// How a position is known: it follows from the clock.
#define TALKPATH_CERTAINTY_ESTIMATED 2

// The call runs; `codec` and `rate_hz` are what the far end sends.
#define TALKPATH_EVENT_STARTED 0

// The caller pressed `digit`, at `position_us`.
#define TALKPATH_EVENT_DTMF 1

// The caller began to speak at `position_us`; the decision fell at `decided_us`.
#define TALKPATH_EVENT_SPEECH_STARTED 2

// The caller stopped speaking at `position_us`; the decision fell at `decided_us`.
#define TALKPATH_EVENT_SPEECH_STOPPED 3

// The first sample of the tag `name` went out.
#define TALKPATH_EVENT_PLAYBACK_STARTED 4

// Playout has reached the mark `name`.
#define TALKPATH_EVENT_MARK_PLAYED 5

// All that was written has been played.
#define TALKPATH_EVENT_DRAINED 6

// Playout ran dry for `gap_us` in the middle of the tag `name`.
#define TALKPATH_EVENT_UNDERRUN 7

// What was queued has been dropped; `cause` says by whom, talkpath_agent_take_receipt what was heard.
#define TALKPATH_EVENT_INTERRUPTED 8

// `count` events were dropped because they were read too late.
#define TALKPATH_EVENT_EVENTS_LOST 9

// The call is over; `reason` says why. Always the last event.
#define TALKPATH_EVENT_ENDED 10

// Who interrupted: the agent.
#define TALKPATH_CAUSE_AGENT 0

// Who interrupted: the caller, by speaking.
#define TALKPATH_CAUSE_BARGE_IN 1

// Why a call ended: the far end hung up.
#define TALKPATH_END_CALLER_HANGUP 0

// Why a call ended: the agent hung up.
#define TALKPATH_END_AGENT_HANGUP 1

// Why a call ended: the agent failed, or let go of the call.
#define TALKPATH_END_HANDLER_FAILED 2

// Why a call ended: nothing came from the far end for too long.
#define TALKPATH_END_IDLE_TIMEOUT 3

// Why a call ended: the far end broke the protocol.
#define TALKPATH_END_PROTOCOL_ERROR 4

// Why a call ended: the connection failed.
#define TALKPATH_END_TRANSPORT_ERROR 5

// Why a call ended: the server stopped.
#define TALKPATH_END_SERVER_STOPPING 6

// The wire's format is known: talkpath_session_take_agent has the agent's end now.
#define TALKPATH_OUTPUT_STARTED 0

// Send `payload` now.
#define TALKPATH_OUTPUT_TRANSMIT 1

// Send the key `digit` by the transport's own means.
#define TALKPATH_OUTPUT_DTMF 2

// Have the far end drop what it has queued.
#define TALKPATH_OUTPUT_FLUSH 3

// The agent's end has something new.
#define TALKPATH_OUTPUT_WAKE 4

// Tell the far end that the call is over, then close.
#define TALKPATH_OUTPUT_HANGUP 5

// The session is over; `reason` says why. This was the last output.
#define TALKPATH_OUTPUT_ENDED 6

// Nothing to do until `timeout_us`, unless something comes from the wire.
#define TALKPATH_OUTPUT_TIMEOUT 7

// A message of AudioSocket: the sender ends the call.
#define TALKPATH_AUDIOSOCKET_HANGUP 0

// A message of AudioSocket: the call's id; always the first one of a caller, never one of an answer.
#define TALKPATH_AUDIOSOCKET_ID 1

// A message of AudioSocket: a key.
#define TALKPATH_AUDIOSOCKET_DTMF 3

// A message of AudioSocket: audio, whatever its rate.
#define TALKPATH_AUDIOSOCKET_AUDIO 16

// A message of AudioSocket: the sender ran into an error.
#define TALKPATH_AUDIOSOCKET_ERROR 255

// The publisher waits for room: nothing is lost, and a reader that stops reading stops publishers.
#define TALKPATH_POLICY_LOSSLESS 0

// The oldest events make room; a gap says exactly which.
#define TALKPATH_POLICY_DROP_OLDEST 1

// Of each session and kind only the newest event is kept.
#define TALKPATH_POLICY_CONFLATE 2

// What an event carries: a text in UTF-8 that is JSON.
#define TALKPATH_PAYLOAD_JSON 0

// What an event carries: any bytes.
#define TALKPATH_PAYLOAD_BYTES 1

// What was drained: an event.
#define TALKPATH_DELIVERY_EVENT 0

// What was drained: a gap. `count` events of `session` were dropped, the first `sequence`, the last `last_sequence`; without
// a session, so many of other sessions.
#define TALKPATH_DELIVERY_GAP 1

// Descendants are kept together by a parent that adopts them; needs no privilege.
#define TALKPATH_TIER_SUBREAPER 1

// Each process has a control group, too; needs a writable one.
#define TALKPATH_TIER_CGROUP 2

// Each process has namespaces of its own; needs a system that allows it.
#define TALKPATH_TIER_STRICT 3

// The process waits until its output is read.
#define TALKPATH_OUTPUT_BLOCK 0

// The oldest output is dropped, and counted.
#define TALKPATH_OUTPUT_DROP_OLDEST 1

// No output is held.
#define TALKPATH_OUTPUT_DISCARD 2

// Errors go where the output goes.
#define TALKPATH_STDERR_STDOUT 0

// Errors are a stream of their own.
#define TALKPATH_STDERR_SEPARATE 1

// Errors go nowhere.
#define TALKPATH_STDERR_DISCARD 2

// Standard output, and errors unless they are separate.
#define TALKPATH_STREAM_STDOUT 0

// Errors, where they are separate.
#define TALKPATH_STREAM_STDERR 1

// No limit was reached.
#define TALKPATH_LIMIT_NONE 0

// The limit of processes was reached.
#define TALKPATH_LIMIT_PROCESSES 1

// The limit of memory was reached.
#define TALKPATH_LIMIT_MEMORY 2

// The limit of processor time was reached.
#define TALKPATH_LIMIT_CPU_TIME 3

// The limit of time was reached.
#define TALKPATH_LIMIT_WALL_TIME 4

// The limit of output was reached.
#define TALKPATH_LIMIT_OUTPUT 5

// How a call went.
//
// Numbers are never changed or reused; later versions may add some, so treat an unknown one as a failure.
typedef enum TalkpathStatus {
    // It was done, and all outputs are written.
    TALKPATH_STATUS_OK = 0,
    // There is nothing now; ask again later. No output is written, and there is no error text.
    TALKPATH_STATUS_EMPTY = 1,
    // A pointer was NULL that must not be.
    TALKPATH_STATUS_NULL_POINTER = 2,
    // An argument is not one that talkpath takes.
    TALKPATH_STATUS_INVALID_ARGUMENT = 3,
    // An output has not the room. Nothing was done.
    TALKPATH_STATUS_BUFFER_TOO_SMALL = 4,
    // The far end broke its protocol.
    TALKPATH_STATUS_PROTOCOL = 5,
    // The session has ended.
    TALKPATH_STATUS_SESSION_ENDED = 6,
    // A bounded queue or count is full.
    TALKPATH_STATUS_LIMIT_EXCEEDED = 7,
    // The operating system refused; the text has its words.
    TALKPATH_STATUS_IO = 8,
    // Something took longer than it may.
    TALKPATH_STATUS_TIMEOUT = 9,
    // A defect in talkpath.
    TALKPATH_STATUS_INTERNAL = 10,
    // A defect in talkpath, which panicked. What was called is not to be used again, but for freeing it.
    TALKPATH_STATUS_PANIC = 11,
    // This build of the library lacks the feature.
    TALKPATH_STATUS_NOT_SUPPORTED = 12,
    // An interruption has come between; nothing was done. There is no error text.
    TALKPATH_STATUS_STALE = 13,
    // A secret, its store or its key is refused.
    TALKPATH_STATUS_ACCESS_DENIED = 14,
    // There is nothing of that name.
    TALKPATH_STATUS_NOT_FOUND = 15,
} TalkpathStatus;

// The agent's end of one call; freeing it hangs up.
typedef struct TalkpathAgent TalkpathAgent;

// Turns what comes over an AudioSocket connection, in any pieces, into messages.
typedef struct TalkpathAudioSocketDecoder TalkpathAudioSocketDecoder;

// An event bus. Its functions, but for freeing it, may be called from any thread at any time.
typedef struct TalkpathBus TalkpathBus;

// Decodes one stream of mono audio.
typedef struct TalkpathDecoder TalkpathDecoder;

// Encodes one stream of mono audio.
typedef struct TalkpathEncoder TalkpathEncoder;

// Puts packets in order, keeps the delay that they need, and conceals what is lost.
typedef struct TalkpathJitterBuffer TalkpathJitterBuffer;

// One process. Freeing it does not end it. Any thread may call its functions at any time, but for freeing it; reads lend
// what they read, so one thread reads.
typedef struct TalkpathProcess TalkpathProcess;

// Starts processes and keeps them until it is freed: then they end, and all that they have started. They end as well when
// the program does, also when it is killed.
typedef struct TalkpathProcessManager TalkpathProcessManager;

// What became of everything written in one generation.
typedef struct TalkpathReceipt TalkpathReceipt;

// Changes the sample rate of a stream of mono audio, chunk by chunk and without drift.
typedef struct TalkpathResampler TalkpathResampler;

// A running server of any transport. Its functions may be called by one thread at a time.
typedef struct TalkpathServer TalkpathServer;

// The media end of one call: takes what comes from the wire, and says what goes out.
typedef struct TalkpathSession TalkpathSession;

// Wants some speech before it says that speech began, and some quiet before it says that it ended.
typedef struct TalkpathSpeechGate TalkpathSpeechGate;

// A subscription to a bus. It may outlive the bus, and then ends.
typedef struct TalkpathSubscription TalkpathSubscription;

// A voice activity detector for one stream of 8 or 16 kHz mono audio.
typedef struct TalkpathVad TalkpathVad;

// How loud audio is, in dB of full scale; silence is -96.3.
typedef struct TalkpathLevel {
    // Root mean square; a full-scale square wave is 0.
    float rms_dbfs;
    // The greatest sample.
    float peak_dbfs;
} TalkpathLevel;

// How Opus is encoded.
//
// Have talkpath_opus_options_default fill it in, and change what matters.
typedef struct TalkpathOpusOptions {
    // The size of this structure, as the program knows it.
    size_t size;
    // Bits a second on average, 6,000 to 128,000.
    uint32_t bitrate;
    // The share of packets that is expected to get lost, in percent; it decides how good the copies of `fec` are.
    uint32_t packet_loss;
    // How much time encoding may take, 0 to 10.
    uint32_t complexity;
    // The highest sample rate that the far end plays (RFC 7587's `maxplaybackrate`).
    uint32_t max_playback_rate_hz;
    // Whether packets carry a coarser copy of the packet before (in-band FEC).
    bool fec;
    // Whether silence is sent as a packet of a byte or two now and then.
    bool dtx;
    // Whether all packets have the same size.
    bool cbr;
} TalkpathOpusOptions;

// What a detector thinks of the newest audio it has seen.
typedef struct TalkpathVadVerdict {
    // Whether it is speech: the score has reached the threshold.
    bool speech;
    // How much it looks like speech, 0 to 1.
    float score;
    // The score from which on it counts as speech, 0 to 1; it follows the noise.
    float threshold;
    // Level of the newest step, in dB of full scale.
    float level_dbfs;
    // Level of the background, in dB of full scale.
    float noise_dbfs;
} TalkpathVadVerdict;

// When packets are played.
typedef struct TalkpathPlayout {
    // One of `TALKPATH_PLAYOUT_…`.
    int32_t mode;
    // The least delay over that of the fastest packets; only for adaptive playout.
    uint32_t min_ms;
    // The longest delay (20 to 2,000), the fixed one (at most 2,000), or the wait in a gap (at most 1,000).
    uint32_t max_ms;
} TalkpathPlayout;

// A packet as it came.
typedef struct TalkpathPacket {
    // RTP's source.
    uint32_t ssrc;
    // RTP's timestamp.
    uint32_t timestamp;
    // RTP's sequence number.
    uint16_t sequence;
    // RTP's marker bit.
    bool marker;
    // The audio, encoded.
    const uint8_t *payload;
    // How many bytes it has.
    size_t payload_len;
} TalkpathPacket;

// What a jitter buffer has seen and done since its start; samples count at the codec's rate.
typedef struct TalkpathJitterStats {
    // Packets with audio, late ones and duplicates included.
    uint64_t packets;
    // Packets that never came, or not yet.
    uint64_t packets_lost;
    // Packets that came after their place had been played.
    uint64_t packets_late;
    // Packets whose sequence number had been there.
    uint64_t packets_duplicate;
    // Payloads that could not be decoded.
    uint64_t packets_malformed;
    // How often the stream started anew.
    uint64_t restarts;
    // Samples received in all packets.
    uint64_t samples_received;
    // Received samples that were given out.
    uint64_t samples_played;
    // Received samples that catching up left out.
    uint64_t samples_removed;
    // Received samples that were dropped.
    uint64_t samples_discarded;
    // Received samples that wait.
    uint64_t samples_held;
    // Samples made up for lost or late ones, recovered ones among them.
    uint64_t samples_concealed;
    // Samples of lost packets that the packet after them held.
    uint64_t samples_recovered;
    // Samples made up to gain delay.
    uint64_t samples_inserted;
    // Samples of background or silence.
    uint64_t samples_rested;
    // The mean deviation of the packets' spacing (RFC 3550, section 6.4.1).
    uint64_t jitter_us;
    // How long after the fastest packets audio is played.
    uint64_t delay_us;
    // The delay that is aimed at.
    uint64_t target_us;
    // The transmission rating R (ITU-T G.107) of this leg.
    double r_factor;
    // The mean opinion score that the rating stands for.
    double mos;
} TalkpathJitterStats;

// How one session buffers, paces, listens and lets itself be interrupted.
//
// Have talkpath_session_config_default fill it in, and change what matters.
typedef struct TalkpathSessionConfig {
    // The size of this structure, as the program knows it.
    size_t size;
    // The packet time of the wire: 10 to 60 ms in steps of 10.
    uint32_t ptime_ms;
    // The codec to answer in, one of `TALKPATH_CODEC_…`; -1: the one that the far end sends.
    int32_t codec;
    // The rate of that codec; with codec -1, the rate to answer in signed linear in, or 0: the far end's.
    uint32_t rate_hz;
    // When packets of a network are played.
    struct TalkpathPlayout playout;
    // How much agent audio is gathered before playout starts, at first.
    uint32_t prebuffer_ms;
    // The most that underruns may raise it to.
    uint32_t prebuffer_max_ms;
    // How much heard audio waits for an agent that does not read.
    uint32_t input_buffer_ms;
    // How much agent audio may wait for playout, in bytes.
    size_t output_limit_bytes;
    // Which detector listens, one of `TALKPATH_VAD_…`; without one there are no speech events and no barge-in.
    int32_t vad;
    // 0, hears only clear speech, to 1, hears the faintest.
    float vad_sensitivity;
    // How much voice makes an onset.
    uint32_t vad_min_speech_ms;
    // How long a pause ends speech.
    uint32_t vad_hangover_ms;
    // How much audio before an onset still reaches an agent that asked for speech only.
    uint32_t vad_look_back_ms;
    // Whether the core interrupts the agent when the caller speaks.
    bool barge_in;
    // How much voice, louder than the agent's echo, makes an interruption.
    uint32_t barge_in_min_speech_ms;
    // How long the agent cannot be interrupted after its first frame.
    uint32_t barge_in_protection_ms;
    // How long after an interruption none follows.
    uint32_t barge_in_cooldown_ms;
    // Whether the agent's own echo raises the level that an interruption needs.
    bool echo_guard;
    // When the agent's own echo is cancelled, one of `TALKPATH_ECHO_…`.
    int32_t echo_canceller;
} TalkpathSessionConfig;

// What a receipt says of all tags together.
typedef struct TalkpathReceiptSummary {
    // How many tags there are.
    size_t segments;
    // How the position is known, one of `TALKPATH_CERTAINTY_…`.
    int32_t certainty;
    // The generation that this is about.
    uint16_t generation;
    // How much went out.
    uint64_t played_us;
    // How much never will.
    uint64_t discarded_us;
} TalkpathReceiptSummary;

// What became of the audio that was written with one tag.
typedef struct TalkpathSegment {
    // The tag; yours to read until the receipt is freed.
    const char *tag;
    // How much was written.
    uint64_t received_us;
    // How much of it went out.
    uint64_t played_us;
    // How much of it never will.
    uint64_t discarded_us;
} TalkpathSegment;

// The wire's formats.
typedef struct TalkpathFormat {
    // What the far end sends, one of `TALKPATH_CODEC_…`.
    int32_t input_codec;
    // Its rate.
    uint32_t input_rate_hz;
    // What it is answered in.
    int32_t output_codec;
    // That rate.
    uint32_t output_rate_hz;
} TalkpathFormat;

// One frame of what the caller says.
typedef struct TalkpathHeard {
    // How many samples were written.
    size_t len;
    // Their rate.
    uint32_t rate_hz;
    // The level, in dB of full scale.
    float level_dbfs;
    // Where the first sample lies, counted from the first heard in this call.
    uint64_t position_us;
    // How much audio before this frame was dropped because nobody read it.
    uint64_t lost_us;
    // Whether the caller was speaking, as decided by the end of this frame.
    bool speech;
} TalkpathHeard;

// Something that happened in a call; which fields mean something, `kind` says.
typedef struct TalkpathEvent {
    // One of `TALKPATH_EVENT_…`.
    int32_t kind;
    // One of `TALKPATH_CODEC_…`.
    int32_t codec;
    // A sample rate.
    uint32_t rate_hz;
    // One of `TALKPATH_CAUSE_…`.
    int32_t cause;
    // One of `TALKPATH_END_…`.
    int32_t reason;
    // How many.
    uint32_t count;
    // Where in what was heard.
    uint64_t position_us;
    // Where in what was heard the decision fell.
    uint64_t decided_us;
    // How long nothing was there to play.
    uint64_t gap_us;
    // A tag or a mark, or an empty text; yours to read until the next event is asked for.
    const char *name;
    // A key.
    uint8_t digit;
} TalkpathEvent;

// A call's counters.
typedef struct TalkpathStats {
    // Messages or frames that were heard.
    uint64_t frames_received;
    // Frames that were sent, silence included.
    uint64_t frames_sent;
    // Of the frames sent, those that held no agent audio.
    uint64_t silence_frames_sent;
    // Frames that could not be sent at all because the driver came too late.
    uint64_t missed_ticks;
    // Heard audio that was dropped because nobody read it.
    uint64_t input_lost_us;
    // Agent audio that was dropped by interruptions.
    uint64_t output_discarded_us;
    // How late half of the frames were sent at most.
    uint64_t lateness_p50_us;
    // How late 99 of 100 frames were sent at most.
    uint64_t lateness_p99_us;
    // How late the latest frame was sent.
    uint64_t lateness_max_us;
    // The prebuffer as learned by now.
    uint64_t prebuffer_us;
    // How often playout ran dry in the middle of a tag.
    uint32_t underruns;
    // How often what was queued was dropped by an interruption.
    uint32_t interruptions;
    // Events that were dropped because they were read too late.
    uint32_t events_lost;
    // Level of the last 20 ms heard, in dB of full scale.
    float input_level_dbfs;
    // Level of the last frame sent, in dB of full scale.
    float output_level_dbfs;
    // Whether the caller speaks now.
    bool speech;
} TalkpathStats;

// What is to be done; which fields mean something, `kind` says.
typedef struct TalkpathOutput {
    // One of `TALKPATH_OUTPUT_…`.
    int32_t kind;
    // Of a transmission: the codec of the payload, one of `TALKPATH_CODEC_…`.
    int32_t codec;
    // Of a transmission: the rate of the payload's samples.
    uint32_t rate_hz;
    // Of an end: one of `TALKPATH_END_…`.
    int32_t reason;
    // Of a transmission: exactly one packet time; yours to read until the session is used again.
    const uint8_t *payload;
    // How many bytes the payload has.
    size_t payload_len;
    // Of a transmission: when it was due.
    uint64_t due_us;
    // Of a transmission: how many frames came before it.
    uint64_t number;
    // Of a timeout: when to ask again.
    uint64_t timeout_us;
    // Of a transmission: whether there is anything of the agent's in it.
    bool is_agent;
    // Of a transmission: whether it is the first of the agent's after silence (RTP's marker bit).
    bool begins;
    // Of a key: the key.
    uint8_t digit;
} TalkpathOutput;

// What can be set of a server; 0 and NULL are the defaults.
typedef struct TalkpathServerConfig {
    // The size of this structure, as the program knows it.
    size_t size;
    // How each call's session works; NULL is the default.
    const struct TalkpathSessionConfig *session;
    // How many calls there may be at once.
    size_t max_calls;
    // How many threads carry calls.
    size_t media_threads;
    // How long a call's peer may send nothing.
    uint32_t idle_timeout_ms;
    // How long a new connection may take to say which call it brings.
    uint32_t handshake_timeout_ms;
    // Whether the media threads do not ask for real-time priority.
    bool normal_priority;
} TalkpathServerConfig;

// What there is to say of a call that has begun.
typedef struct TalkpathCallInfo {
    // The number that talkpath_server_poll_ready has for it.
    uint64_t key;
    // Its id: a UUID, ended by a zero byte.
    char id[40];
    // Who calls, host:port, ended by a zero byte.
    char peer[64];
    // Where the call came in, host:port, ended by a zero byte.
    char local[64];
} TalkpathCallInfo;

// What talkpath_server_dispatch calls, on the thread that calls it.
typedef struct TalkpathServerCallbacks {
    // A call has begun: the agent's end is yours, to be freed once.
    void (*on_call)(struct TalkpathAgent *agent, const struct TalkpathCallInfo *info, void *user);
    // The call with this key has something new: frames, events, or room. May be NULL.
    void (*on_ready)(uint64_t key, void *user);
    // Something was logged: severity 0 (debug) to 3 (error). May be NULL.
    void (*on_log)(int32_t severity, const char *line, void *user);
    // What each of them is given.
    void *user;
} TalkpathServerCallbacks;

// One message of an AudioSocket peer; which fields mean something, `kind` says.
typedef struct TalkpathAudioSocketMessage {
    // One of `TALKPATH_AUDIOSOCKET_…`.
    int32_t kind;
    // Of audio: the rate of its samples.
    uint32_t rate_hz;
    // Of audio: 16-bit little-endian samples, at any address; talkpath_audiosocket_samples reads them. Yours to read until
    // the decoder is used again, or the bytes that it was given change.
    const uint8_t *payload;
    // How many bytes the payload has.
    size_t payload_len;
    // Of an id: the id as a UUID, ended by a zero byte.
    char id[40];
    // Of a key: '0' to '9', '*', '#', 'A' to 'D'.
    uint8_t digit;
    // Of an error: its code; Asterisk's are 1 (hangup), 2 (frame) and 4 (memory).
    uint8_t error;
} TalkpathAudioSocketMessage;

// What can be set of a subscription; 0 is the default, but of `policy`.
typedef struct TalkpathSubscriptionConfig {
    // The size of this structure, as the program knows it.
    size_t size;
    // How many events may wait (8,192).
    size_t capacity;
    // How many bytes they may count for (8 MiB).
    size_t capacity_bytes;
    // What happens when the queue is full: one of `TALKPATH_POLICY_…`.
    int32_t policy;
} TalkpathSubscriptionConfig;

// An event, or a gap where events were dropped. Texts are UTF-8 and not ended by a zero byte; all that it leads to stays
// until the subscription is drained again or freed.
typedef struct TalkpathBusEvent {
    // One of `TALKPATH_DELIVERY_…`.
    int32_t delivery;
    // One of `TALKPATH_PAYLOAD_…`.
    int32_t payload_type;
    // Its number among the events of its session: 1, 2, 3 and so on.
    uint64_t sequence;
    // Of a gap: the number of the last event that was dropped.
    uint64_t last_sequence;
    // Of a gap: how many events were dropped.
    uint64_t count;
    // When, in microseconds since 1970.
    uint64_t time_us;
    // Whose event it is.
    const char *session;
    // How many bytes `session` has.
    size_t session_len;
    // What happened, as `area:what`.
    const char *kind;
    // How many bytes `kind` has.
    size_t kind_len;
    // What there is to say about it.
    const uint8_t *payload;
    // How many bytes `payload` has.
    size_t payload_len;
} TalkpathBusEvent;

// How a process is started; 0 or NULL is the default.
typedef struct TalkpathProcessConfig {
    // The size of this structure, as the program knows it.
    size_t size;
    // Where it starts (where the program is).
    const char *cwd;
    // Variables that it gets, `NAME=VALUE` each, the last one followed by NULL; beside `PATH`, `HOME`, `LANG` and their
    // like, which are all that it inherits.
    const char *const *env;
    // The session under which its output goes to the manager's bus, on channel `console` (none).
    const char *console;
    // How much output of a stream is held, in bytes (1 MiB).
    size_t buffer_bytes;
    // Bytes of resident memory that its tree may use (no limit).
    uint64_t limit_memory_bytes;
    // Bytes that it may write (no limit).
    uint64_t limit_output_bytes;
    // Milliseconds that it may run (no limit).
    uint64_t limit_wall_ms;
    // Seconds of processor time that its tree may use (no limit).
    uint64_t limit_cpu_s;
    // Processes that its tree may have, itself among them (no limit).
    uint32_t limit_processes;
    // How long a line may stand without its newline until it is handed out as it is, in milliseconds (40; -1: for ever).
    int32_t prompt_ms;
    // What happens to output that nobody reads, one of `TALKPATH_OUTPUT_…`.
    int32_t output;
    // Where its errors go, one of `TALKPATH_STDERR_…`.
    int32_t stderr_to;
    // How many lines its terminal has; 0 gives it pipes and no terminal.
    uint16_t rows;
    // How many characters a line of its terminal has (80).
    uint16_t columns;
} TalkpathProcessConfig;

// How a process ended: by a code or by a signal.
typedef struct TalkpathExit {
    // The exit code, -1 where a signal ended it.
    int32_t code;
    // The signal that ended it, 0 where it ended by itself. Without either, nobody knows.
    int32_t signal;
    // The limit for which it was ended, one of `TALKPATH_LIMIT_…`.
    int32_t limit;
    // Whether a core was dumped.
    bool core_dumped;
} TalkpathExit;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Says in English what a status means; any number is taken, and the text is static.
const char *talkpath_status_str(int32_t status);

// Copies the text of the last failure on this thread into `out`, cut to fit and always ended by a zero byte.
//
// `needed` gets the length of the whole text without the zero byte: 0 if nothing has failed on this thread. `out` may be
// NULL if `out_len` is 0. A successful call does not clear the text.
//
// # Safety
// `out` must be writable for `out_len` bytes, `needed` must be writable.
enum TalkpathStatus talkpath_last_error(char *out,
                                        size_t out_len,
                                        size_t *needed);

// The version of the library, such as "0.1.0"; a static text.
const char *talkpath_version(void);

// The version of the binary interface; a program compiled against a header with another
// TALKPATH_ABI_VERSION must not go on.
uint32_t talkpath_abi_version(void);

// Says whether the library was built with a feature, such as "g722" or "opus"; false for a name that it does not know, and
// for NULL.
//
// # Safety
// `feature` must lead to a zero-ended text, or be NULL.
bool talkpath_has_feature(const char *feature);

// Decodes `len` bytes of G.711 mu-law into `out`, one sample a byte.
//
// `out_len` is the room in `out`, in samples, and must be at least `len`; `written` gets how many were written. Real-time
// safe, from any thread.
//
// # Safety
// `input` must be readable for `len` bytes, `out` writable for `out_len` samples, `written` writable; `input` and `out`
// must not overlap.
enum TalkpathStatus talkpath_ulaw_decode(const uint8_t *input,
                                         size_t len,
                                         int16_t *out,
                                         size_t out_len,
                                         size_t *written);

// Encodes `len` samples as G.711 mu-law into `out`, one byte a sample, exactly as CPython's `audioop` did.
//
// `out_len` is the room in `out`, in bytes, and must be at least `len`; `written` gets how many were written. Real-time
// safe, from any thread.
//
// # Safety
// `input` must be readable for `len` samples, `out` writable for `out_len` bytes, `written` writable; `input` and `out`
// must not overlap.
enum TalkpathStatus talkpath_ulaw_encode(const int16_t *input,
                                         size_t len,
                                         uint8_t *out,
                                         size_t out_len,
                                         size_t *written);

// Decodes `len` bytes of G.711 A-law into `out`, one sample a byte.
//
// `out_len` is the room in `out`, in samples, and must be at least `len`; `written` gets how many were written. Real-time
// safe, from any thread.
//
// # Safety
// `input` must be readable for `len` bytes, `out` writable for `out_len` samples, `written` writable; `input` and `out`
// must not overlap.
enum TalkpathStatus talkpath_alaw_decode(const uint8_t *input,
                                         size_t len,
                                         int16_t *out,
                                         size_t out_len,
                                         size_t *written);

// Encodes `len` samples as G.711 A-law into `out`, one byte a sample, exactly as CPython's `audioop` did.
//
// `out_len` is the room in `out`, in bytes, and must be at least `len`; `written` gets how many were written. Real-time
// safe, from any thread.
//
// # Safety
// `input` must be readable for `len` samples, `out` writable for `out_len` bytes, `written` writable; `input` and `out`
// must not overlap.
enum TalkpathStatus talkpath_alaw_encode(const int16_t *input,
                                         size_t len,
                                         uint8_t *out,
                                         size_t out_len,
                                         size_t *written);

// Measures how loud `len` samples are. Real-time safe, from any thread.
//
// # Safety
// `samples` must be readable for `len` samples, `level` writable.
enum TalkpathStatus talkpath_level_measure(const int16_t *samples, size_t len, struct TalkpathLevel *level);

// Makes an encoder and hands it over in `encoder`. Free it by talkpath_encoder_free.
//
// `codec` is one of `TALKPATH_CODEC_…`.
//
// # Safety
// `encoder` must be writable.
enum TalkpathStatus talkpath_encoder_new(int32_t codec, uint32_t rate_hz, struct TalkpathEncoder **encoder);

// Encodes the stream's next `len` samples into `out`. Real-time safe.
//
// `out_len` is the room in `out`, in bytes: 2 a sample of slin, 1 of G.711, half a byte of G.722, 1,276 for each 20 ms of
// Opus. `written` gets how many were written.
//
// # Safety
// `encoder` must come from talkpath_encoder_new, and no other call may be using it; `samples` must be readable for
// `len` samples, `out` writable for `out_len` bytes, `written` writable; `samples` and `out` must not overlap.
enum TalkpathStatus talkpath_encoder_encode(struct TalkpathEncoder *encoder,
                                            const int16_t *samples,
                                            size_t len,
                                            uint8_t *out,
                                            size_t out_len,
                                            size_t *written);

// Begins a new stream of the same codec.
//
// # Safety
// `encoder` must come from talkpath_encoder_new, and no other call may be using it.
enum TalkpathStatus talkpath_encoder_reset(struct TalkpathEncoder *encoder);

// Frees an encoder; NULL is nothing to free.
//
// # Safety
// `encoder` must come from talkpath_encoder_new and not have been freed, and no other call may be using it.
void talkpath_encoder_free(struct TalkpathEncoder *encoder);

// Makes a decoder and hands it over in `decoder`; codecs are those of talkpath_encoder_new. Free it by
// talkpath_decoder_free.
//
// # Safety
// `decoder` must be writable.
enum TalkpathStatus talkpath_decoder_new(int32_t codec, uint32_t rate_hz, struct TalkpathDecoder **decoder);

// Decodes the stream's next `len` bytes, one packet of them, into `out`. Real-time safe.
//
// `out_len` is the room in `out`, in samples. `written` gets how many were written.
//
// # Safety
// `decoder` must come from talkpath_decoder_new, and no other call may be using it; `bytes` must be readable for `len`
// bytes, `out` writable for `out_len` samples, `written` writable; `bytes` and `out` must not overlap.
enum TalkpathStatus talkpath_decoder_decode(struct TalkpathDecoder *decoder,
                                            const uint8_t *bytes,
                                            size_t len,
                                            int16_t *out,
                                            size_t out_len,
                                            size_t *written);

// Makes up `samples` samples for a lost packet by the codec's own concealment. Real-time safe.
//
// `TALKPATH_STATUS_EMPTY` if the codec has none (all but Opus): a jitter buffer conceals those.
//
// # Safety
// `decoder` must come from talkpath_decoder_new, and no other call may be using it; `out` must be writable for `out_len`
// samples, `written` writable.
enum TalkpathStatus talkpath_decoder_conceal(struct TalkpathDecoder *decoder,
                                             size_t samples,
                                             int16_t *out,
                                             size_t out_len,
                                             size_t *written);

// Takes `samples` samples of a lost packet out of the packet that follows it, by in-band error correction.
//
// `TALKPATH_STATUS_EMPTY` if that packet, or the codec, holds none. Decode the packet itself after this. Real-time safe.
//
// # Safety
// As for talkpath_decoder_decode; `next` must be readable for `next_len` bytes.
enum TalkpathStatus talkpath_decoder_recover(struct TalkpathDecoder *decoder,
                                             const uint8_t *next,
                                             size_t next_len,
                                             size_t samples,
                                             int16_t *out,
                                             size_t out_len,
                                             size_t *written);

// Begins a new stream of the same codec.
//
// # Safety
// `decoder` must come from talkpath_decoder_new, and no other call may be using it.
enum TalkpathStatus talkpath_decoder_reset(struct TalkpathDecoder *decoder);

// Frees a decoder; NULL is nothing to free.
//
// # Safety
// `decoder` must come from talkpath_decoder_new and not have been freed, and no other call may be using it.
void talkpath_decoder_free(struct TalkpathDecoder *decoder);

// Fills in what suits a phone call over a network that loses packets.
//
// `size` is `sizeof(TalkpathOpusOptions)`.
//
// # Safety
// `options` must be writable for `size` bytes.
enum TalkpathStatus talkpath_opus_options_default(struct TalkpathOpusOptions *options, size_t size);

// Makes an encoder of Opus and hands it over in `encoder`. Free it by talkpath_encoder_free.
//
// `rate_hz` is that of the samples: 8,000, 12,000, 16,000, 24,000 or 48,000; `options` may be NULL: the defaults, as of
// talkpath_encoder_new.
//
// # Safety
// `options` must be readable for the size that it says it has, or NULL; `encoder` must be writable.
enum TalkpathStatus talkpath_opus_encoder_new(uint32_t rate_hz,
                                              const struct TalkpathOpusOptions *options,
                                              struct TalkpathEncoder **encoder);

// Writes how many samples at `rate_hz` an Opus packet of `len` bytes decodes to, by its header. Real-time safe, from any
// thread.
//
// # Safety
// `packet` must be readable for `len` bytes, `samples` writable.
enum TalkpathStatus talkpath_opus_packet_samples(const uint8_t *packet,
                                                 size_t len,
                                                 uint32_t rate_hz,
                                                 size_t *samples);

// Makes a resampler from one rate in Hz to another, 8,000 to 192,000 each, and hands it over in `resampler`.
//
// `quality` is `TALKPATH_QUALITY_PHONE` or `TALKPATH_QUALITY_STUDIO`. Free it by talkpath_resampler_free.
//
// # Safety
// `resampler` must be writable.
enum TalkpathStatus talkpath_resampler_new(uint32_t from_hz,
                                           uint32_t to_hz,
                                           int32_t quality,
                                           struct TalkpathResampler **resampler);

// Takes the stream's next `len` samples and writes what they become to `out`.
//
// `out_len` is the room in `out`, in samples; talkpath_resampler_output_len says how much is needed. Chunks may be of
// any length. Real-time safe.
//
// # Safety
// `resampler` must come from talkpath_resampler_new and be used by one thread at a time, `input` readable for `len`
// samples, `out` writable for `out_len` samples, `written` writable; `input` and `out` must not overlap.
enum TalkpathStatus talkpath_resampler_process(struct TalkpathResampler *resampler,
                                               const int16_t *input,
                                               size_t len,
                                               int16_t *out,
                                               size_t out_len,
                                               size_t *written);

// Says how many samples the next `len` samples become. Real-time safe.
//
// # Safety
// `resampler` must come from talkpath_resampler_new, and no other call may be using it; `samples` must be writable.
enum TalkpathStatus talkpath_resampler_output_len(const struct TalkpathResampler *resampler,
                                                  size_t len,
                                                  size_t *samples);

// Begins a new stream. Real-time safe.
//
// # Safety
// `resampler` must come from talkpath_resampler_new, and no other call may be using it.
enum TalkpathStatus talkpath_resampler_reset(struct TalkpathResampler *resampler);

// Frees a resampler; NULL is nothing to free.
//
// # Safety
// `resampler` must come from talkpath_resampler_new and not have been freed, and no other call may be using it.
void talkpath_resampler_free(struct TalkpathResampler *resampler);

// Makes a detector for `rate_hz`, 8,000 or 16,000, and hands it over in `vad`. Free it by talkpath_vad_free.
//
// `detector` is `TALKPATH_VAD_PHONE` or `TALKPATH_VAD_SILERO`.
//
// # Safety
// `vad` must be writable.
enum TalkpathStatus talkpath_vad_new(int32_t detector,
                                     uint32_t rate_hz,
                                     struct TalkpathVad **vad);

// Sets the sensitivity from here on: 0 hears only clear speech, 1 the faintest; 0.5 is the default.
//
// # Safety
// `vad` must come from talkpath_vad_new, and no other call may be using it.
enum TalkpathStatus talkpath_vad_set_sensitivity(struct TalkpathVad *vad, float sensitivity);

// Takes the stream's next `len` samples, any number of them, and writes the newest verdict. Real-time safe.
//
// # Safety
// `vad` must come from talkpath_vad_new, and no other call may be using it; `samples` must be readable for `len`
// samples, `verdict` writable.
enum TalkpathStatus talkpath_vad_process(struct TalkpathVad *vad,
                                         const int16_t *samples,
                                         size_t len,
                                         struct TalkpathVadVerdict *verdict);

// Begins a new stream; the sensitivity stays. Real-time safe.
//
// # Safety
// `vad` must come from talkpath_vad_new, and no other call may be using it.
enum TalkpathStatus talkpath_vad_reset(struct TalkpathVad *vad);

// Frees a detector; NULL is nothing to free.
//
// # Safety
// `vad` must come from talkpath_vad_new and not have been freed, and no other call may be using it.
void talkpath_vad_free(struct TalkpathVad *vad);

// Makes a gate and hands it over in `gate`. Free it by talkpath_speech_gate_free.
//
// `min_speech_ms` of voice make an onset (a session's default is 60), a pause of `hangover_ms` an offset (300).
//
// # Safety
// `gate` must be writable.
enum TalkpathStatus talkpath_speech_gate_new(uint32_t min_speech_ms,
                                             uint32_t hangover_ms,
                                             struct TalkpathSpeechGate **gate);

// Takes the verdict on the next frame, which is `frame_us` long, 20 ms as a rule; `edge` gets the edge that it completes,
// one of `TALKPATH_EDGE_…`, and `ago_us` how long before the end of the frame that was. Real-time safe.
//
// # Safety
// `gate` must come from talkpath_speech_gate_new, and no other call may be using it; `verdict` must be readable,
// `edge` and `ago_us` writable.
enum TalkpathStatus talkpath_speech_gate_update(struct TalkpathSpeechGate *gate,
                                                const struct TalkpathVadVerdict *verdict,
                                                uint64_t frame_us,
                                                int32_t *edge,
                                                uint64_t *ago_us);

// Forgets the present run of speech; no edge is told of it. Real-time safe.
//
// # Safety
// `gate` must come from talkpath_speech_gate_new, and no other call may be using it.
enum TalkpathStatus talkpath_speech_gate_reset(struct TalkpathSpeechGate *gate);

// Frees a gate; NULL is nothing to free.
//
// # Safety
// `gate` must come from talkpath_speech_gate_new and not have been freed, and no other call may be using it.
void talkpath_speech_gate_free(struct TalkpathSpeechGate *gate);

// Makes a buffer for packets of one codec, and hands it over in `buffer`. Free it by talkpath_jitter_buffer_free.
//
// `codec` is one of `TALKPATH_CODEC_…`; `playout` may be NULL: adaptive, 0 to 400 ms.
//
// # Safety
// `playout` must be readable or NULL, `buffer` writable.
enum TalkpathStatus talkpath_jitter_buffer_new(int32_t codec,
                                               uint32_t rate_hz,
                                               const struct TalkpathPlayout *playout,
                                               struct TalkpathJitterBuffer **buffer);

// Takes a packet that came at `arrival_us`; `arrival` gets what became of it, one of `TALKPATH_ARRIVAL_…`.
//
// Times are on the scale of talkpath_jitter_buffer_poll's. Real-time safe.
//
// # Safety
// `buffer` must come from talkpath_jitter_buffer_new, and no other call may be using it; `packet` and its payload must
// be readable, `arrival` writable.
enum TalkpathStatus talkpath_jitter_buffer_push(struct TalkpathJitterBuffer *buffer,
                                                const struct TalkpathPacket *packet,
                                                uint64_t arrival_us,
                                                int32_t *arrival);

// Takes a comfort noise packet (RFC 3389): the sender pauses, and its background lies `level` dB below full scale.
//
// # Safety
// As for talkpath_jitter_buffer_push.
enum TalkpathStatus talkpath_jitter_buffer_push_comfort_noise(struct TalkpathJitterBuffer *buffer,
                                                              const struct TalkpathPacket *packet,
                                                              uint8_t level,
                                                              uint64_t arrival_us);

// Writes the frame that is due at `now_us`, 20 ms, to `out`; `played` gets what it is made of, one of `TALKPATH_PLAYED_…`.
//
// Call it every 20 ms: there is a frame each time. With playout `asap` call it after each packet, too, until it answers
// `TALKPATH_STATUS_EMPTY`. `out_len` is the room in `out`, in samples, at least `rate_hz / 50`. Real-time safe.
//
// # Safety
// `buffer` must come from talkpath_jitter_buffer_new, and no other call may be using it; `out` must be writable for
// `out_len` samples, `played` writable.
enum TalkpathStatus talkpath_jitter_buffer_poll(struct TalkpathJitterBuffer *buffer,
                                                uint64_t now_us,
                                                int16_t *out,
                                                size_t out_len,
                                                int32_t *played);

// Writes what the buffer has seen and done so far.
//
// # Safety
// `buffer` must come from talkpath_jitter_buffer_new, and no other call may be using it; `stats` must be writable.
enum TalkpathStatus talkpath_jitter_buffer_stats(const struct TalkpathJitterBuffer *buffer,
                                                 struct TalkpathJitterStats *stats);

// Frees a buffer; NULL is nothing to free.
//
// # Safety
// `buffer` must come from talkpath_jitter_buffer_new and not have been freed, and no other call may be using it.
void talkpath_jitter_buffer_free(struct TalkpathJitterBuffer *buffer);

// Fills in what a phone call wants.
//
// `size` is `sizeof(TalkpathSessionConfig)`.
//
// # Safety
// `config` must be writable for `size` bytes.
enum TalkpathStatus talkpath_session_config_default(struct TalkpathSessionConfig *config, size_t size);

// Writes what a receipt says of all tags together. From any thread.
//
// # Safety
// `receipt` must have been handed over and not freed; `summary` must be writable.
enum TalkpathStatus talkpath_receipt_summary(const struct TalkpathReceipt *receipt,
                                             struct TalkpathReceiptSummary *summary);

// Writes what a receipt says of its tag number `index`, in the order of writing. From any thread.
//
// # Safety
// `receipt` must have been handed over and not freed; `segment` must be writable.
enum TalkpathStatus talkpath_receipt_segment(const struct TalkpathReceipt *receipt,
                                             size_t index,
                                             struct TalkpathSegment *segment);

// Frees a receipt; NULL is nothing to free.
//
// # Safety
// `receipt` must have been handed over and not been freed.
void talkpath_receipt_free(struct TalkpathReceipt *receipt);

// Writes the wire's formats.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it; `format` must be writable.
enum TalkpathStatus talkpath_agent_format(const struct TalkpathAgent *agent,
                                          struct TalkpathFormat *format);

// Sets the rate and the length of the frames that are read from here on, 5 to 1,000 ms, and whether only speech is wanted.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it.
enum TalkpathStatus talkpath_agent_configure_input(struct TalkpathAgent *agent,
                                                   uint32_t rate_hz,
                                                   uint32_t frame_ms,
                                                   bool speech_only);

// Writes the next frame of what the caller says to `out`, and what there is to say of it to `heard`.
//
// `TALKPATH_STATUS_EMPTY` if there is none now, `TALKPATH_STATUS_SESSION_ENDED` if none will come. `out_len` is the room in
// `out`, in samples: the frame of talkpath_agent_configure_input, or 60 ms at the wire's rate.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it; `out` must be writable for
// `out_len` samples, `heard` writable.
enum TalkpathStatus talkpath_agent_read(struct TalkpathAgent *agent,
                                        int16_t *out,
                                        size_t out_len,
                                        struct TalkpathHeard *heard);

// Writes the generation that writes belong to now: every interruption starts the next.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it; `generation` must be writable.
enum TalkpathStatus talkpath_agent_generation(struct TalkpathAgent *agent,
                                              uint16_t *generation);

// Takes as many of `len` samples as there is room for, to be played after all that was written before.
//
// `tag` names the utterance in receipts. `generation` is what talkpath_agent_generation said when the utterance began:
// `TALKPATH_STATUS_STALE` if an interruption has come between. `taken` gets how many samples were taken, fewer than `len`
// if the queue is full; there is news once there is room.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it; `samples` must be readable for
// `len` samples, `tag` must lead to a zero-ended text, `taken` must be writable.
enum TalkpathStatus talkpath_agent_write(struct TalkpathAgent *agent,
                                         const int16_t *samples,
                                         size_t len,
                                         uint32_t rate_hz,
                                         const char *tag,
                                         uint16_t generation,
                                         size_t *taken);

// Sets a mark after all that was written: TALKPATH_EVENT_MARK_PLAYED says when playout has reached it.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it; `name` must lead to a zero-ended
// text.
enum TalkpathStatus talkpath_agent_mark(struct TalkpathAgent *agent,
                                        const char *name);

// Says that what was written is complete: it plays at once, however short, and its end is no underrun.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it.
enum TalkpathStatus talkpath_agent_complete(struct TalkpathAgent *agent);

// Drops all that waits for playout, at once, and hands over what was heard in `receipt`, which may be NULL.
//
// Free the receipt by talkpath_receipt_free.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it; `receipt` must be writable or NULL.
enum TalkpathStatus talkpath_agent_interrupt(struct TalkpathAgent *agent,
                                             struct TalkpathReceipt **receipt);

// Stops playout where it is, or goes on; what waits keeps waiting.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it.
enum TalkpathStatus talkpath_agent_pause(struct TalkpathAgent *agent, bool is_paused);

// Presses keys, `0` to `9`, `*`, `#` and `A` to `D`, by the transport's own means or as tones.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it; `keys` must lead to a zero-ended
// text.
enum TalkpathStatus talkpath_agent_send_dtmf(struct TalkpathAgent *agent,
                                             const char *keys);

// Writes how much waits for playout, and how many samples of `rate_hz` there is room for.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it; `buffered_us` and `room` must be
// writable.
enum TalkpathStatus talkpath_agent_buffered(const struct TalkpathAgent *agent,
                                            uint32_t rate_hz,
                                            uint64_t *buffered_us,
                                            size_t *room);

// Says whether the core interrupts the agent by itself when the caller speaks.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it.
enum TalkpathStatus talkpath_agent_set_barge_in(struct TalkpathAgent *agent, bool is_automatic);

// Ends the call: after all that was written has been played, or at once.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it.
enum TalkpathStatus talkpath_agent_hangup(struct TalkpathAgent *agent, bool after_drain);

// Writes the next thing that happened; `TALKPATH_STATUS_EMPTY` if there is none now, and after the last.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it; `event` must be writable.
enum TalkpathStatus talkpath_agent_poll_event(struct TalkpathAgent *agent,
                                              struct TalkpathEvent *event);

// Hands over what was heard by the last TALKPATH_EVENT_INTERRUPTED, once; else `TALKPATH_STATUS_EMPTY`.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it; `receipt` must be writable.
enum TalkpathStatus talkpath_agent_take_receipt(struct TalkpathAgent *agent,
                                                struct TalkpathReceipt **receipt);

// Writes the call's counters now.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it; `stats` must be writable.
enum TalkpathStatus talkpath_agent_stats(const struct TalkpathAgent *agent,
                                         struct TalkpathStats *stats);

// Frees the agent's end, and hangs up if the call still runs; NULL is nothing to free.
//
// # Safety
// `agent` must have been handed over and not freed, and no other call may be using it.
void talkpath_agent_free(struct TalkpathAgent *agent);

// Makes the media end of a call whose first frame is due at `now_us`, and hands it over in `session`.
//
// `config` may be NULL: the default. `far_end_acks` says that the far end confirms what it has played
// (talkpath_session_handle_acked) and can drop what it has queued; `far_end_takes_dtmf` that keys are sent by the
// transport, not as tones. Free it by talkpath_session_free.
//
// # Safety
// `config` must be readable for the size that it says it has, or NULL; `session` must be writable.
enum TalkpathStatus talkpath_session_new(const struct TalkpathSessionConfig *config,
                                         bool far_end_acks,
                                         bool far_end_takes_dtmf,
                                         uint64_t now_us,
                                         struct TalkpathSession **session);

// Takes audio of a transport that keeps order and loses nothing, any length of it.
//
// Real-time safe but for the first of a call. After each `talkpath_session_handle_…`, and when the last timeout is due,
// call talkpath_session_poll until it says TALKPATH_OUTPUT_TIMEOUT or TALKPATH_OUTPUT_ENDED.
//
// # Safety
// `session` must come from talkpath_session_new, and no other call may be using it; `payload` must be readable for
// `len` bytes.
enum TalkpathStatus talkpath_session_handle_audio(struct TalkpathSession *session,
                                                  int32_t codec,
                                                  uint32_t rate_hz,
                                                  const uint8_t *payload,
                                                  size_t len,
                                                  uint64_t now_us);

// Takes a packet of a network that keeps neither order nor time: it goes through the session's jitter buffer.
//
// Real-time safe but for the first of a call and for a change of the codec.
//
// # Safety
// `session` must come from talkpath_session_new, and no other call may be using it; `packet` and its payload must be
// readable.
enum TalkpathStatus talkpath_session_handle_packet(struct TalkpathSession *session,
                                                   int32_t codec,
                                                   uint32_t rate_hz,
                                                   const struct TalkpathPacket *packet,
                                                   uint64_t now_us);

// Takes a comfort noise packet (RFC 3389) of the same stream; the background lies `level` dB below full scale.
//
// # Safety
// As for talkpath_session_handle_packet.
enum TalkpathStatus talkpath_session_handle_comfort_noise(struct TalkpathSession *session,
                                                          const struct TalkpathPacket *packet,
                                                          uint8_t level,
                                                          uint64_t now_us);

// Takes a key that the caller pressed: '0' to '9', '*', '#', 'A' to 'D'.
//
// # Safety
// `session` must come from talkpath_session_new, and no other call may be using it.
enum TalkpathStatus talkpath_session_handle_dtmf(struct TalkpathSession *session,
                                                 uint8_t digit,
                                                 uint64_t now_us);

// Takes the far end's word that it has played every frame up to and including `number`.
//
// # Safety
// As for talkpath_session_handle_dtmf.
enum TalkpathStatus talkpath_session_handle_acked(struct TalkpathSession *session,
                                                  uint64_t number,
                                                  uint64_t now_us);

// Takes the far end's word that its queue is full, or has room again; nothing is sent meanwhile, and nothing lost.
//
// # Safety
// As for talkpath_session_handle_dtmf.
enum TalkpathStatus talkpath_session_handle_congested(struct TalkpathSession *session,
                                                      bool is_congested,
                                                      uint64_t now_us);

// Lets the call end once the agent has been heard out.
//
// # Safety
// As for talkpath_session_handle_dtmf.
enum TalkpathStatus talkpath_session_drain(struct TalkpathSession *session, uint64_t now_us);

// Ends the call: the transport is gone, or must go; `reason` is one of `TALKPATH_END_…`.
//
// # Safety
// As for talkpath_session_handle_dtmf.
enum TalkpathStatus talkpath_session_end(struct TalkpathSession *session, int32_t reason, uint64_t now_us);

// Says what to do next. Real-time safe.
//
// # Safety
// `session` must come from talkpath_session_new, and no other call may be using it; `output` must be writable.
enum TalkpathStatus talkpath_session_poll(struct TalkpathSession *session,
                                          uint64_t now_us,
                                          struct TalkpathOutput *output);

// Hands the agent's end over in `agent`, once, after TALKPATH_OUTPUT_STARTED; else `TALKPATH_STATUS_EMPTY`.
//
// It may be used by another thread than the session, and outlive it. Free it by
// talkpath_agent_free.
//
// # Safety
// `session` must come from talkpath_session_new, and no other call may be using it; `agent` must be writable.
enum TalkpathStatus talkpath_session_take_agent(struct TalkpathSession *session,
                                                struct TalkpathAgent **agent);

// Writes what the session's jitter buffer has seen and done; `TALKPATH_STATUS_EMPTY` before the first packet.
//
// # Safety
// `session` must come from talkpath_session_new, and no other call may be using it; `stats` must be writable.
enum TalkpathStatus talkpath_session_jitter_stats(const struct TalkpathSession *session,
                                                  struct TalkpathJitterStats *stats);

// Frees a session; the agent's end learns that the call is over. NULL is nothing to free.
//
// # Safety
// `session` must come from talkpath_session_new and not have been freed, and no other call may be using it.
void talkpath_session_free(struct TalkpathSession *session);

// Listens, starts the threads, and hands the server over in `server`. Free it by talkpath_server_free.
//
// `listen` is an address such as `audiosocket://127.0.0.1:8090`, `rtp://127.0.0.1:18080-18099` or
// `ws://127.0.0.1:8787/media`; `config` may be NULL: the defaults.
//
// # Safety
// `listen` must lead to a zero-ended text; `config` and what it leads to must be readable, or NULL; `server` must be
// writable.
enum TalkpathStatus talkpath_server_new(const char *listen,
                                        const struct TalkpathServerConfig *config,
                                        struct TalkpathServer **server);

// Writes where the server listens, host:port, to `out`, cut to fit and ended by a zero byte; `port` gets the port.
//
// # Safety
// `server` must come from talkpath_server_new, and no other call may be using it; `out` must be writable for `out_len`
// bytes, `port` writable.
enum TalkpathStatus talkpath_server_address(const struct TalkpathServer *server,
                                            char *out,
                                            size_t out_len,
                                            uint16_t *port);

// Writes the descriptor that becomes readable when there is news; only talkpath_server_take_news and
// talkpath_server_dispatch may read it.
//
// # Safety
// `server` must come from talkpath_server_new, and no other call may be using it; `fd` must be writable.
enum TalkpathStatus talkpath_server_fd(const struct TalkpathServer *server, int32_t *fd);

// Takes the news that made the descriptor readable: call it first, then accept and look at who is ready.
//
// # Safety
// `server` must come from talkpath_server_new, and no other call may be using it.
enum TalkpathStatus talkpath_server_take_news(struct TalkpathServer *server);

// Hands over the next call that began; `TALKPATH_STATUS_EMPTY` if there is none.
//
// # Safety
// `server` must come from talkpath_server_new, and no other call may be using it; `agent` and `info` must be writable.
enum TalkpathStatus talkpath_server_accept(struct TalkpathServer *server,
                                           struct TalkpathAgent **agent,
                                           struct TalkpathCallInfo *info);

// Writes the keys of calls that have something new, each once; `count` gets how many. What has no room waits for the next
// time.
//
// # Safety
// `server` must come from talkpath_server_new, and no other call may be using it; `keys` must be writable for `keys_len`
// items, `count` writable.
enum TalkpathStatus talkpath_server_poll_ready(struct TalkpathServer *server,
                                               uint64_t *keys,
                                               size_t keys_len,
                                               size_t *count);

// Waits up to `timeout_ms` for news (-1: for ever, 0: not at all), and hands all of it to the callbacks, on this thread.
//
// `TALKPATH_STATUS_SESSION_ENDED` once the server has stopped. A callback may use agents, but not the server.
//
// # Safety
// `server` must come from talkpath_server_new, and no other call may be using it; `callbacks` must be readable, and
// each callback in it must be NULL or a function of its type that returns.
enum TalkpathStatus talkpath_server_dispatch(struct TalkpathServer *server,
                                             int32_t timeout_ms,
                                             const struct TalkpathServerCallbacks *callbacks);

// Writes the next line of the log to `out`, cut to fit and ended by a zero byte; `severity` gets 0 (debug) to 3 (error).
//
// `TALKPATH_STATUS_EMPTY` if there is none.
//
// # Safety
// `server` must come from talkpath_server_new, and no other call may be using it; `out` must be writable for `out_len`
// bytes, `severity` writable.
enum TalkpathStatus talkpath_server_poll_log(struct TalkpathServer *server,
                                             char *out,
                                             size_t out_len,
                                             int32_t *severity);

// Takes no more calls, and ends those there are: each as soon as what its agent has written is played, all that are left
// after `grace_ms`. Returns at once.
//
// # Safety
// `server` must come from talkpath_server_new, and no other call may be using it.
enum TalkpathStatus talkpath_server_stop(struct TalkpathServer *server,
                                         uint32_t grace_ms);

// Writes whether a stop is complete: all calls have ended, all threads are done.
//
// # Safety
// `server` must come from talkpath_server_new, and no other call may be using it; `is_stopped` must be writable.
enum TalkpathStatus talkpath_server_is_stopped(const struct TalkpathServer *server,
                                               bool *is_stopped);

// Ends all calls, waits for the threads (up to a fifth of a second), and frees the server; NULL is nothing to free.
//
// Agents' ends that were handed over stay, and learn that their calls are over; free them, too.
//
// # Safety
// `server` must come from talkpath_server_new and not have been freed, and no other call may be using it.
void talkpath_server_free(struct TalkpathServer *server);

// Makes a decoder for one connection, and hands it over in `decoder`. Free it by
// talkpath_audiosocket_decoder_free.
//
// `is_answer` says that the peer is the one that was called: it sends no id.
//
// # Safety
// `decoder` must be writable.
enum TalkpathStatus talkpath_audiosocket_decoder_new(bool is_answer,
                                                     struct TalkpathAudioSocketDecoder **decoder);

// Takes bytes off the front of what was read, and writes the next message; `taken` gets how many were taken.
//
// `TALKPATH_STATUS_EMPTY` when all `len` bytes were taken and no message is complete: go on with what is read next.
// `TALKPATH_STATUS_PROTOCOL` when the stream can not be AudioSocket, from then on. Audio of more than 4,096 bytes comes in
// pieces; messages that mean nothing are skipped. Real-time safe.
//
// # Safety
// `decoder` must come from talkpath_audiosocket_decoder_new, and no other call may be using it; `bytes` must be
// readable for `len` bytes, `taken` and `message` writable.
enum TalkpathStatus talkpath_audiosocket_decoder_poll(struct TalkpathAudioSocketDecoder *decoder,
                                                      const uint8_t *bytes,
                                                      size_t len,
                                                      size_t *taken,
                                                      struct TalkpathAudioSocketMessage *message);

// Writes how many messages were skipped because they mean nothing, and whether the stream stands between two messages,
// so that its end cuts none.
//
// # Safety
// `decoder` must come from talkpath_audiosocket_decoder_new, and no other call may be using it; `skipped` and
// `is_between_messages` must be writable.
enum TalkpathStatus talkpath_audiosocket_decoder_state(const struct TalkpathAudioSocketDecoder *decoder,
                                                       uint64_t *skipped,
                                                       bool *is_between_messages);

// Frees a decoder; NULL is nothing to free.
//
// # Safety
// `decoder` must come from talkpath_audiosocket_decoder_new and not have been freed, and no other call may be using
// it.
void talkpath_audiosocket_decoder_free(struct TalkpathAudioSocketDecoder *decoder);

// Reads the samples of an audio message into `out`; half a sample at its end, which no honest peer sends, is left out.
//
// `out_len` is the room in `out`, in samples: `payload_len / 2`. `written` gets how many were written. Real-time safe,
// from any thread.
//
// # Safety
// `message` and its payload must be readable, `out` writable for `out_len` samples, `written` writable.
enum TalkpathStatus talkpath_audiosocket_samples(const struct TalkpathAudioSocketMessage *message,
                                                 int16_t *out,
                                                 size_t out_len,
                                                 size_t *written);

// Writes the message with which a caller begins: the call's id, a UUID as text; `written` gets its length, 19 bytes.
//
// Whole messages go out in one write each: Asterisk ends a call whose payload does not follow its header within 5 ms.
//
// # Safety
// `id` must lead to a zero-ended text; `out` must be writable for `out_len` bytes, `written` writable.
enum TalkpathStatus talkpath_audiosocket_encode_id(const char *id,
                                                   uint8_t *out,
                                                   size_t out_len,
                                                   size_t *written);

// Writes a message with `len` samples of audio; `written` gets its length, 3 bytes and 2 a sample.
//
// `rate_hz` is 8,000, 12,000, 16,000, 24,000, 32,000, 44,100, 48,000, 96,000 or 192,000; there are 1 to 32,767 samples,
// and 20 ms of them are what Asterisk sends on as they are. Real-time safe, from any thread.
//
// # Safety
// `samples` must be readable for `len` samples, `out` writable for `out_len` bytes, `written` writable; `samples` and
// `out` must not overlap.
enum TalkpathStatus talkpath_audiosocket_encode_audio(uint32_t rate_hz,
                                                      const int16_t *samples,
                                                      size_t len,
                                                      uint8_t *out,
                                                      size_t out_len,
                                                      size_t *written);

// Writes the message of a key, '0' to '9', '*', '#', 'A' to 'D'; `written` gets its length, 4 bytes.
//
// # Safety
// `out` must be writable for `out_len` bytes, `written` writable.
enum TalkpathStatus talkpath_audiosocket_encode_dtmf(uint8_t digit,
                                                     uint8_t *out,
                                                     size_t out_len,
                                                     size_t *written);

// Writes the message that ends a call; `written` gets its length, 3 bytes.
//
// # Safety
// `out` must be writable for `out_len` bytes, `written` writable.
enum TalkpathStatus talkpath_audiosocket_encode_hangup(uint8_t *out, size_t out_len, size_t *written);

// Makes a bus and hands it over in `bus`. Free it by talkpath_bus_free.
//
// It belongs to the process that made it: in a forked child its functions fail.
//
// # Safety
// `bus` must be writable.
enum TalkpathStatus talkpath_bus_new(struct TalkpathBus **bus);

// Publishes an event. `sequence` gets its number in its session; it may be NULL.
//
// `session` and `kind` are names of 1 to 255 bytes; a kind is spelt `area:what`. `payload_type` is one of
// `TALKPATH_PAYLOAD_…`; JSON is not checked, but must be UTF-8. With `may_wait` it waits up to five seconds while a subscriber
// that loses nothing has no room (`TALKPATH_STATUS_TIMEOUT`), without it fails at once (`TALKPATH_STATUS_LIMIT_EXCEEDED`):
// then nobody has got the event. Any thread may call it at any time.
//
// # Safety
// `bus` must come from talkpath_bus_new; `session` and `kind` must lead to zero-ended texts; `payload` must be readable
// for `payload_len` bytes; `sequence` must be writable, or NULL.
enum TalkpathStatus talkpath_bus_publish(const struct TalkpathBus *bus,
                                         const char *session,
                                         const char *kind,
                                         int32_t payload_type,
                                         const uint8_t *payload,
                                         size_t payload_len,
                                         bool may_wait,
                                         uint64_t *sequence);

// Subscribes to the events whose session and kind match, from now on, and hands the subscription over in `subscription`.
// Free it by talkpath_subscription_free.
//
// In `session` and `kind`, `*` stands for any run of characters and `?` for one. `config` may be NULL: the oldest events
// make room when more than 8,192 wait. Any thread may call it at any time.
//
// # Safety
// `bus` must come from talkpath_bus_new; `session` and `kind` must lead to zero-ended texts; `config` must be readable,
// or NULL; `subscription` must be writable.
enum TalkpathStatus talkpath_bus_subscribe(const struct TalkpathBus *bus,
                                           const char *session,
                                           const char *kind,
                                           const struct TalkpathSubscriptionConfig *config,
                                           struct TalkpathSubscription **subscription);

// Frees the bus; NULL is nothing to free. Its subscriptions end once they are drained; free them, too.
//
// # Safety
// `bus` must come from talkpath_bus_new and not have been freed, and no other call may be using it.
void talkpath_bus_free(struct TalkpathBus *bus);

// Writes the descriptor that is readable while there is something to drain, and for good once the subscription has ended;
// only draining may read it.
//
// # Safety
// `subscription` must come from talkpath_bus_subscribe, and no other call may be using it; `fd` must be writable.
enum TalkpathStatus talkpath_subscription_fd(const struct TalkpathSubscription *subscription,
                                             int32_t *fd);

// Waits up to `timeout_ms` (-1: for ever) until there is something to drain; `TALKPATH_STATUS_EMPTY` if nothing came,
// `TALKPATH_STATUS_SESSION_ENDED` once nothing will come any more.
//
// # Safety
// `subscription` must come from talkpath_bus_subscribe, and no other call may be using it.
enum TalkpathStatus talkpath_subscription_wait(const struct TalkpathSubscription *subscription,
                                               int32_t timeout_ms);

// Writes what waits, at most `events_len` events and gaps, to `events`; `count` gets how many. It does not wait.
//
// What they lead to is lent until the subscription is drained again or freed. `TALKPATH_STATUS_EMPTY` if nothing waits,
// `TALKPATH_STATUS_SESSION_ENDED` once nothing will come any more.
//
// # Safety
// `subscription` must come from talkpath_bus_subscribe, and no other call may be using it; `events` must be writable for
// `events_len` items, `count` writable.
enum TalkpathStatus talkpath_subscription_drain(struct TalkpathSubscription *subscription,
                                                struct TalkpathBusEvent *events,
                                                size_t events_len,
                                                size_t *count);

// Ends the subscription and frees it; NULL is nothing to free.
//
// # Safety
// `subscription` must come from talkpath_bus_subscribe and not have been freed, and no other call may be using it.
void talkpath_subscription_free(struct TalkpathSubscription *subscription);

// Makes a manager and hands it over in `manager`; free it by talkpath_process_manager_free.
//
// `tier` is one of `TALKPATH_TIER_…`; one that the system does not allow is an error at the first start. `bus` is told of
// processes with a console; it may be NULL.
//
// # Safety
// `bus` must come from talkpath_bus_new, or be NULL; `manager` must be writable.
enum TalkpathStatus talkpath_process_manager_new(int32_t tier,
                                                 const struct TalkpathBus *bus,
                                                 struct TalkpathProcessManager **manager);

// Asks all processes and what they have started to end (SIGTERM), kills what is left after `grace_ms`, waits, and frees
// the manager; NULL is nothing to free.
//
// # Safety
// `manager` must come from talkpath_process_manager_new and not have been freed, and no other call may be using it.
void talkpath_process_manager_free(struct TalkpathProcessManager *manager,
                                   uint32_t grace_ms);

// Starts a program, waits until it runs, and hands it over in `process`; free it by talkpath_process_free.
//
// `argv` is the program and its arguments, the last one followed by NULL; no shell looks at them. `config` may be NULL.
// `TALKPATH_STATUS_IO` if the program is not there or the system refuses. Any thread may call it at any time.
//
// # Safety
// `manager` must come from talkpath_process_manager_new; `argv` must lead to zero-ended texts and end with NULL; so
// must `env` of `config`, which must be readable, or NULL; `process` must be writable.
enum TalkpathStatus talkpath_process_start(const struct TalkpathProcessManager *manager,
                                           const char *const *argv,
                                           const struct TalkpathProcessConfig *config,
                                           struct TalkpathProcess **process);

// Frees the process, which goes on; NULL is nothing to free.
//
// # Safety
// `process` must come from talkpath_process_start and not have been freed, and no other call may be using it.
void talkpath_process_free(struct TalkpathProcess *process);

// Lends the id of the process, until it is freed: no other process of any program's has it.
//
// # Safety
// `process` must come from talkpath_process_start; `id` must be writable.
enum TalkpathStatus talkpath_process_id(const struct TalkpathProcess *process, const char **id);

// Writes the system's number for the process; once it has ended, another one may have it.
//
// # Safety
// `process` must come from talkpath_process_start; `pid` must be writable.
enum TalkpathStatus talkpath_process_pid(const struct TalkpathProcess *process, int32_t *pid);

// Writes the descriptor that is readable when there is something new: output, room, an end. Only
// talkpath_process_hush may read it; call that first, then look.
//
// # Safety
// `process` must come from talkpath_process_start; `fd` must be writable.
enum TalkpathStatus talkpath_process_fd(const struct TalkpathProcess *process, int32_t *fd);

// Makes the descriptor unreadable until there is more.
//
// # Safety
// `process` must come from talkpath_process_start.
enum TalkpathStatus talkpath_process_hush(const struct TalkpathProcess *process);

// Lends the next line of a stream, one of `TALKPATH_STREAM_…`, until the next read: `len` bytes with the newline, not ended
// by a zero byte. Without a newline it is a prompt, a piece of a line of more than 64 KiB, or the last.
//
// It waits up to `timeout_ms` (-1: for ever). `TALKPATH_STATUS_EMPTY` if nothing came, `TALKPATH_STATUS_SESSION_ENDED` at
// the end. `dropped_bytes` gets how much was dropped before the line; it may be NULL.
//
// # Safety
// `process` must come from talkpath_process_start; `line` and `len` must be writable, `dropped_bytes` too, or NULL.
enum TalkpathStatus talkpath_process_read_line(const struct TalkpathProcess *process,
                                               int32_t stream,
                                               int32_t timeout_ms,
                                               const uint8_t **line,
                                               size_t *len,
                                               uint64_t *dropped_bytes);

// Writes to the input of the process, and waits up to `timeout_ms` (-1: for ever) until all was taken.
//
// `TALKPATH_STATUS_TIMEOUT` if it was not: what was not taken is taken back. `TALKPATH_STATUS_IO` if it does not read any
// more. At a terminal a line may be of any length.
//
// # Safety
// `process` must come from talkpath_process_start; `data` must be readable for `len` bytes.
enum TalkpathStatus talkpath_process_write(const struct TalkpathProcess *process,
                                           const uint8_t *data,
                                           size_t len,
                                           int32_t timeout_ms);

// Ends the input of the process, once all that was written is taken.
//
// # Safety
// `process` must come from talkpath_process_start.
enum TalkpathStatus talkpath_process_close_input(const struct TalkpathProcess *process);

// Sets the size of its terminal.
//
// # Safety
// `process` must come from talkpath_process_start.
enum TalkpathStatus talkpath_process_resize(const struct TalkpathProcess *process,
                                            uint16_t rows,
                                            uint16_t columns);

// Sends a signal to the process and all that it has started; nothing happens if it has ended.
//
// # Safety
// `process` must come from talkpath_process_start.
enum TalkpathStatus talkpath_process_signal(const struct TalkpathProcess *process, int32_t signal);

// Asks the process and all that it has started to end (SIGTERM), and kills what is left after `grace_ms`; with 0 at once,
// unasked. It does not wait: talkpath_process_wait does.
//
// # Safety
// `process` must come from talkpath_process_start.
enum TalkpathStatus talkpath_process_stop(const struct TalkpathProcess *process,
                                          uint32_t grace_ms);

// Waits up to `timeout_ms` (-1: for ever) until the process has ended, and writes how to `exit`; `TALKPATH_STATUS_EMPTY` if
// it still runs. It is told after all of its output.
//
// # Safety
// `process` must come from talkpath_process_start; `exit` must be writable.
enum TalkpathStatus talkpath_process_wait(const struct TalkpathProcess *process,
                                          int32_t timeout_ms,
                                          struct TalkpathExit *exit);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TALKPATH_H */
