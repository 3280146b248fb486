/*
 * codec_talkpath: translates between signed linear and Opus, G.722, G.711 in Asterisk, on libtalkpath.
 *
 * Asterisk itself has no Opus, and what distributions add has no concealment of its own and no settings. This module
 * knows Asterisk's translators and nothing about audio: every sample is talkpath's business. Resampling is
 * codec_resample's, so G.722 has no direct way from and to 8 kHz here.
 *
 * Copyright (C) 2026 the talkpath authors. This program is free software, distributed under the terms of the GNU General
 * Public License Version 2, as Asterisk is. libtalkpath has a licence of its own.
 *
 * SPDX-License-Identifier: GPL-2.0-only
 */

/*** MODULEINFO
	<depend>talkpath</depend>
	<support_level>extended</support_level>
 ***/

#include "asterisk.h"

#include "asterisk/cli.h"
#include "asterisk/codec.h"
#include "asterisk/config.h"
#include "asterisk/format.h"
#include "asterisk/format_cache.h"
#include "asterisk/linkedlists.h"
#include "asterisk/lock.h"
#include "asterisk/logger.h"
#include "asterisk/module.h"
#include "asterisk/options.h"
#include "asterisk/opus.h"
#include "asterisk/translate.h"
#include "asterisk/utils.h"

#include <talkpath.h>

static const char config_file[] = "codec_talkpath.conf";

/* Whether, and in what order beside others of their kind, the translators of a codec are registered. */
enum place {
	PLACE_NONE,
	PLACE_FALLBACK,	/* only where nobody else does it */
	PLACE_FIRST,	/* before whoever else does it */
};

/* The codecs that this module is about, in the order of `codec_names`. */
enum { OPUS, G722, ULAW, ALAW, CODECS };

static const char *const codec_names[CODECS] = { "opus", "g722", "ulaw", "alaw" };

static const int32_t codec_numbers[CODECS] = {
	TALKPATH_CODEC_OPUS, TALKPATH_CODEC_G722, TALKPATH_CODEC_ULAW, TALKPATH_CODEC_ALAW,
};

/* The rates of the codecs as Asterisk counts them: RTP's clock of Opus is always 48 kHz (RFC 7587, section 4.1). */
static const unsigned int codec_rates[CODECS] = { 48000, 16000, 8000, 8000 };

struct settings {
	enum place places[CODECS];
	TalkpathOpusOptions opus;
};

/* What new streams are made of; a reload writes it. */
static struct settings settings;
AST_RWLOCK_DEFINE_STATIC(settings_lock);

/* What has gone through one translator, over all of its streams; written by media threads, read by the CLI. */
struct counters {
	unsigned int streams;	/* that there are now */
	unsigned int streams_all;
	uint64_t packets;
	uint64_t concealed;	/* packets that were made up */
	uint64_t recovered;	/* packets that were found in the one after them */
	uint64_t late;	/* packets that came after they had been made up */
	uint64_t refused;	/* packets that are none */
};

/* One direction of one codec at one rate of signed linear. */
struct way {
	struct ast_translator translator;
	int codec;
	unsigned int rate;
	int is_registered;
	int cost_us;	/* of a second of audio, as measured when it was registered */
	struct counters counters;
};

#define COUNT(way, what, n) __atomic_fetch_add(&(way)->counters.what, (n), __ATOMIC_RELAXED)
#define COUNTED(way, what) __atomic_load_n(&(way)->counters.what, __ATOMIC_RELAXED)

static struct way *way_of(const struct ast_trans_pvt *pvt)
{
	return (struct way *) pvt->t;
}

enum {
	/* The most that one frame into a translator, or what it holds at a time, may have: half a second. */
	HELD_MS = 500,
	/* The longest packet of Opus (RFC 6716, section 3.2.5). */
	PACKET_MS = 120,
	/* The most that is made up for lost packets in a row: beyond it nothing but silence would come. */
	CONCEALED_MS = 200,
	/* Sequence numbers that are behind by no more than this are late; by more, it is another stream (RFC 3550, A.1). */
	MISORDERED = 100,
	/* What the core takes for the cost of a translator that cannot be measured. */
	UNKNOWN_COST = 999999,
	/* What talkpath_encoder_encode asks for, for a packet of 20 ms. */
	PACKET_BYTES = 1276,
};

static const char *last_error(char *text, size_t size)
{
	size_t needed;

	text[0] = '\0';
	talkpath_last_error(text, size, &needed);
	return text;
}

/* Opus to signed linear. */

struct opus_decoder {
	TalkpathDecoder *decoder;
	size_t packet;	/* samples in the newest packet */
	size_t owed;	/* samples of a lost packet that the next one may hold */
	size_t made_up;	/* samples since the newest packet that were made up, or are owed */
	unsigned int told;	/* lost packets since the newest one that the core has told of */
	uint16_t sequence;	/* of the newest packet */
	uint16_t late;	/* of the newest late one */
	unsigned int is_late:1;	/* the packet before this one was late */
	unsigned int is_numbered:1;	/* `sequence` is known */
	unsigned int has_begun:1;
};

static int opus_decoder_new(struct ast_trans_pvt *pvt)
{
	struct opus_decoder *p = pvt->pvt;
	struct way *way = way_of(pvt);
	char text[256];

	if (talkpath_decoder_new(TALKPATH_CODEC_OPUS, way->rate, &p->decoder) != TALKPATH_STATUS_OK) {
		ast_log(LOG_ERROR, "%s: %s\n", pvt->t->name, last_error(text, sizeof(text)));
		return -1;
	}
	p->packet = way->rate / 50;
	pvt->f.subclass.format = ao2_bump(ast_format_cache_get_slin_by_rate(way->rate));
	COUNT(way, streams, 1);
	COUNT(way, streams_all, 1);
	return 0;
}

static void opus_decoder_destroy(struct ast_trans_pvt *pvt)
{
	struct opus_decoder *p = pvt->pvt;

	talkpath_decoder_free(p->decoder);
	COUNT(way_of(pvt), streams, -1);
}

/* Where the next samples go, and how many there is room for. */
static int16_t *room(struct ast_trans_pvt *pvt, size_t *samples)
{
	*samples = pvt->t->buffer_samples - pvt->samples;
	return pvt->outbuf.i16 + pvt->samples;
}

static void append(struct ast_trans_pvt *pvt, size_t samples)
{
	pvt->samples += samples;
	pvt->datalen += 2 * samples;
}

/* Makes up `samples` that were lost, unless too much has been made up already. */
static void conceal(struct ast_trans_pvt *pvt, size_t samples)
{
	struct opus_decoder *p = pvt->pvt;
	size_t space, written;
	int16_t *out = room(pvt, &space);

	if (samples && talkpath_decoder_conceal(p->decoder, MIN(samples, space), out, space, &written) == TALKPATH_STATUS_OK) {
		append(pvt, written);
		COUNT(way_of(pvt), concealed, 1);
	}
}

/* A packet is lost: its number is missing, or a jitter buffer says so, or Debian's Asterisk does. The next packet may hold a
 * copy of it, which is waited for; of a row of lost ones all but the last are made up at once. */
static void lose(struct ast_trans_pvt *pvt, size_t samples)
{
	struct opus_decoder *p = pvt->pvt;
	size_t most = way_of(pvt)->rate / 1000 * CONCEALED_MS;

	conceal(pvt, p->owed);
	p->owed = 0;
	if (p->made_up + samples > most) {
		return;
	}
	p->made_up += samples;
	p->owed = samples;
	if (ast_opt_generic_plc && way_of(pvt)->rate == 8000) {
		/* Asterisk fills in 8 kHz by itself whatever has not been filled in at once. */
		conceal(pvt, p->owed);
		p->owed = 0;
	}
}

/* Looks at the number of a packet: says of packets that were lost before it, and whether it is to be heard at all. */
static int is_due(struct ast_trans_pvt *pvt, const struct ast_frame *f)
{
	struct opus_decoder *p = pvt->pvt;
	uint16_t sequence = f->seqno, ahead = sequence - p->sequence;
	int was_late = p->is_late;

	p->is_late = 0;
	if (!ast_test_flag(f, AST_FRFLAG_HAS_SEQUENCE_NUMBER) && !f->seqno) {
		p->is_numbered = 0;
		return 1;
	}
	if (p->is_numbered && (uint16_t) -ahead < MISORDERED
		&& !(was_late && ahead && sequence == (uint16_t) (p->late + 1))) {
		/* Two of them in sequence are no accident: the sender has begun anew. */
		p->is_late = 1;
		p->late = sequence;
		COUNT(way_of(pvt), late, 1);
		return 0;
	}
	if (p->is_numbered && ahead < MISORDERED) {
		for (unsigned int lost = 1 + p->told; lost < ahead; lost++) {
			lose(pvt, p->packet);
		}
	}
	p->sequence = sequence;
	p->is_numbered = 1;
	return 1;
}

static int opus_decoder_framein(struct ast_trans_pvt *pvt, struct ast_frame *f)
{
	struct opus_decoder *p = pvt->pvt;
	struct way *way = way_of(pvt);
	size_t space, written;
	int16_t *out;

	if (!f->datalen) {
		if (p->has_begun) {
			p->told++;
			lose(pvt, f->samples > 0 ? f->samples / (48000 / way->rate) : p->packet);
		}
		return 0;
	}
	if (!is_due(pvt, f)) {
		return 0;
	}
	COUNT(way, packets, 1);
	if (p->owed) {
		out = room(pvt, &space);
		if (talkpath_decoder_recover(p->decoder, f->data.ptr, f->datalen, p->owed, out, space, &written)
			== TALKPATH_STATUS_OK) {
			append(pvt, written);
			COUNT(way, recovered, 1);
		} else {
			conceal(pvt, p->owed);
		}
	}
	p->owed = p->made_up = p->told = 0;
	out = room(pvt, &space);
	if (talkpath_decoder_decode(p->decoder, f->data.ptr, f->datalen, out, space, &written) != TALKPATH_STATUS_OK) {
		/* What is no packet is a lost one. */
		COUNT(way, refused, 1);
		if (p->has_begun) {
			lose(pvt, p->packet);
		}
		return 0;
	}
	append(pvt, written);
	p->packet = written;
	p->has_begun = 1;
	return 0;
}

/* Frames of 20 ms, and what is left in one that is shorter: what is long becomes long packets on another wire. */
static struct ast_frame *slin_frameout(struct ast_trans_pvt *pvt)
{
	struct ast_frame *first = NULL, *last = NULL, *frame;
	int ms20 = way_of(pvt)->rate / 50, samples = pvt->samples, at;

	if (samples > ms20) {
		/* The time of one packet is not that of each of its frames. */
		ast_clear_flag(&pvt->f, AST_FRFLAG_HAS_TIMING_INFO);
	}
	for (at = 0; at < samples; at += ms20) {
		pvt->f.samples = MIN(ms20, samples - at);
		pvt->f.datalen = 2 * pvt->f.samples;
		pvt->f.data.ptr = pvt->outbuf.i16 + at;
		if (!(frame = ast_frisolate(&pvt->f))) {
			break;
		}
		if (last) {
			AST_LIST_NEXT(last, frame_list) = frame;
		} else {
			first = frame;
		}
		last = frame;
	}
	pvt->f.data.ptr = pvt->outbuf.c;
	pvt->samples = pvt->datalen = 0;
	return first;
}

/* Signed linear to Opus. */

struct opus_encoder {
	TalkpathEncoder *encoder;
	size_t held;	/* samples that do not fill a frame yet */
	int16_t samples[];
};

/* An integer attribute that the two ends have agreed upon (`a=fmtp`), or `otherwise`. */
static int attribute(const struct ast_format *format, const char *name, int otherwise)
{
	const int *value = format ? ast_format_attribute_get(format, name) : NULL;

	return value ? *value : otherwise;
}

/* How a stream is encoded: as it is set, within what the far end has asked for (RFC 7587, section 6.1). */
static TalkpathOpusOptions agreed(const struct ast_format *format)
{
	TalkpathOpusOptions options;
	int bitrate, rate;

	ast_rwlock_rdlock(&settings_lock);
	options = settings.opus;
	ast_rwlock_unlock(&settings_lock);

	bitrate = attribute(format, CODEC_OPUS_ATTR_MAX_AVERAGE_BITRATE, 0);
	if (bitrate > 0 && (unsigned int) bitrate < options.bitrate) {
		options.bitrate = MAX(bitrate, 6000);
	}
	rate = attribute(format, CODEC_OPUS_ATTR_MAX_PLAYBACK_RATE, 0);
	if (rate > 0 && (unsigned int) rate < options.max_playback_rate_hz) {
		options.max_playback_rate_hz = MAX(rate, 8000);
	}
	options.fec = options.fec && attribute(format, CODEC_OPUS_ATTR_FEC, 1);
	options.dtx = options.dtx || attribute(format, CODEC_OPUS_ATTR_DTX, 0);
	options.cbr = options.cbr || attribute(format, CODEC_OPUS_ATTR_CBR, 0);
	return options;
}

static int opus_encoder_new(struct ast_trans_pvt *pvt)
{
	struct opus_encoder *p = pvt->pvt;
	struct way *way = way_of(pvt);
	TalkpathOpusOptions options = agreed(pvt->explicit_dst);
	char text[256];

	if (talkpath_opus_encoder_new(way->rate, &options, &p->encoder) != TALKPATH_STATUS_OK) {
		ast_log(LOG_ERROR, "%s: %s\n", pvt->t->name, last_error(text, sizeof(text)));
		return -1;
	}
	ast_debug(1, "%s: %u bit/s, complexity %u, up to %u Hz, fec %d, dtx %d, cbr %d\n", pvt->t->name, options.bitrate,
		options.complexity, options.max_playback_rate_hz, options.fec, options.dtx, options.cbr);
	COUNT(way, streams, 1);
	COUNT(way, streams_all, 1);
	return 0;
}

static void opus_encoder_destroy(struct ast_trans_pvt *pvt)
{
	struct opus_encoder *p = pvt->pvt;

	talkpath_encoder_free(p->encoder);
	COUNT(way_of(pvt), streams, -1);
}

/* Keeps the samples: packets are made of 20 ms, whatever comes. The core has seen to it that there is room. */
static int opus_encoder_framein(struct ast_trans_pvt *pvt, struct ast_frame *f)
{
	struct opus_encoder *p = pvt->pvt;
	size_t samples = f->datalen / 2, most = way_of(pvt)->rate / 1000 * HELD_MS;

	samples = MIN(samples, most - p->held);
	memcpy(p->samples + p->held, f->data.ptr, 2 * samples);
	p->held += samples;
	pvt->samples = p->held * (48000 / way_of(pvt)->rate);
	return 0;
}

static struct ast_frame *opus_encoder_frameout(struct ast_trans_pvt *pvt)
{
	struct opus_encoder *p = pvt->pvt;
	struct way *way = way_of(pvt);
	struct ast_frame *first = NULL, *last = NULL, *frame;
	size_t ms20 = way->rate / 50, at = 0, bytes;

	for (; p->held - at >= ms20; at += ms20) {
		if (talkpath_encoder_encode(p->encoder, p->samples + at, ms20, pvt->outbuf.ui8, pvt->t->buf_size, &bytes)
			!= TALKPATH_STATUS_OK) {
			COUNT(way, refused, 1);
			continue;
		}
		COUNT(way, packets, 1);
		if (!(frame = ast_trans_frameout(pvt, bytes, 960))) {
			continue;
		}
		if (last) {
			AST_LIST_NEXT(last, frame_list) = frame;
			/* The time of what came is that of the first packet. */
			ast_clear_flag(frame, AST_FRFLAG_HAS_TIMING_INFO);
		} else {
			first = frame;
		}
		last = frame;
	}
	p->held -= at;
	memmove(p->samples, p->samples + at, 2 * p->held);
	pvt->samples = p->held * (48000 / way->rate);
	return first;
}

/* G.722 and G.711, either way: a byte of G.722 is two samples, one of G.711 is one. */

struct plain {
	TalkpathDecoder *decoder;
	TalkpathEncoder *encoder;
	int16_t odd;	/* a sample that waits for the other half of its byte */
	int is_odd;
};

static int plain_new(struct ast_trans_pvt *pvt)
{
	struct plain *p = pvt->pvt;
	struct way *way = way_of(pvt);
	int is_decoder = !strcmp(pvt->t->dst_codec.name, "slin");
	int32_t number = codec_numbers[way->codec];
	char text[256];
	TalkpathStatus status = is_decoder ? talkpath_decoder_new(number, way->rate, &p->decoder)
		: talkpath_encoder_new(number, way->rate, &p->encoder);

	if (status != TALKPATH_STATUS_OK) {
		ast_log(LOG_ERROR, "%s: %s\n", pvt->t->name, last_error(text, sizeof(text)));
		return -1;
	}
	if (is_decoder) {
		pvt->f.subclass.format = ao2_bump(ast_format_cache_get_slin_by_rate(way->rate));
	}
	COUNT(way, streams, 1);
	COUNT(way, streams_all, 1);
	return 0;
}

static void plain_destroy(struct ast_trans_pvt *pvt)
{
	struct plain *p = pvt->pvt;

	talkpath_decoder_free(p->decoder);
	talkpath_encoder_free(p->encoder);
	COUNT(way_of(pvt), streams, -1);
}

static int plain_decoder_framein(struct ast_trans_pvt *pvt, struct ast_frame *f)
{
	struct plain *p = pvt->pvt;
	size_t space, written;
	int16_t *out = room(pvt, &space);

	if (talkpath_decoder_decode(p->decoder, f->data.ptr, f->datalen, out, space, &written) != TALKPATH_STATUS_OK) {
		COUNT(way_of(pvt), refused, 1);
		return -1;
	}
	append(pvt, written);
	COUNT(way_of(pvt), packets, 1);
	return 0;
}

static int encode(struct ast_trans_pvt *pvt, const int16_t *samples, size_t len)
{
	struct plain *p = pvt->pvt;
	size_t written;

	if (talkpath_encoder_encode(p->encoder, samples, len, pvt->outbuf.ui8 + pvt->datalen, pvt->t->buf_size - pvt->datalen,
		&written) != TALKPATH_STATUS_OK) {
		COUNT(way_of(pvt), refused, 1);
		return -1;
	}
	pvt->datalen += written;
	pvt->samples += len;
	return 0;
}

static int plain_encoder_framein(struct ast_trans_pvt *pvt, struct ast_frame *f)
{
	struct plain *p = pvt->pvt;
	const int16_t *samples = f->data.ptr;
	size_t len = f->datalen / 2;

	COUNT(way_of(pvt), packets, 1);
	if (way_of(pvt)->codec == G722) {
		if (p->is_odd && len) {
			const int16_t pair[2] = { p->odd, *samples++ };

			p->is_odd = 0;
			len--;
			if (encode(pvt, pair, 2)) {
				return -1;
			}
		}
		if (len % 2) {
			p->odd = samples[--len];
			p->is_odd = 1;
		}
	}
	return encode(pvt, samples, len);
}

/* Frames of which the core measures what a translation costs. */

static int16_t sample_slin[960];
static uint8_t sample_bytes[CODECS][PACKET_BYTES];
static size_t sample_lens[CODECS];

static struct ast_frame *sample(struct ast_format *format, void *data, size_t len, size_t samples)
{
	static __thread struct ast_frame frame;

	memset(&frame, 0, sizeof(frame));
	frame.frametype = AST_FRAME_VOICE;
	frame.subclass.format = format;
	frame.data.ptr = data;
	frame.datalen = len;
	frame.samples = samples;
	frame.src = AST_MODULE;
	return &frame;
}

#define SAMPLE_SLIN(rate) \
	static struct ast_frame *sample_slin_##rate(void) \
	{ \
		return sample(ast_format_cache_get_slin_by_rate(rate), sample_slin, 2 * (rate) / 50, (rate) / 50); \
	}
SAMPLE_SLIN(8000)
SAMPLE_SLIN(12000)
SAMPLE_SLIN(16000)
SAMPLE_SLIN(24000)
SAMPLE_SLIN(48000)

#define SAMPLE_CODED(name, codec) \
	static struct ast_frame *sample_##name(void) \
	{ \
		return sample(ast_format_##name, sample_bytes[codec], sample_lens[codec], codec_rates[codec] / 50); \
	}
SAMPLE_CODED(opus, OPUS)
SAMPLE_CODED(g722, G722)
SAMPLE_CODED(ulaw, ULAW)
SAMPLE_CODED(alaw, ALAW)

/* 20 ms of sound at whatever rate, and what the codecs make of it. */
static int make_samples(void)
{
	unsigned int i;
	int codec;

	for (i = 0; i < ARRAY_LEN(sample_slin); i++) {
		/* A sawtooth has all harmonics, as a voice has. */
		sample_slin[i] = (int16_t) ((int) (i * 211 % 16000) - 8000);
	}
	for (codec = 0; codec < CODECS; codec++) {
		unsigned int rate = codec_rates[codec];
		TalkpathEncoder *encoder = NULL;
		TalkpathStatus status = talkpath_encoder_new(codec_numbers[codec], rate, &encoder);

		if (status == TALKPATH_STATUS_OK) {
			status = talkpath_encoder_encode(encoder, sample_slin, rate / 50, sample_bytes[codec],
				sizeof(sample_bytes[codec]), &sample_lens[codec]);
		}
		talkpath_encoder_free(encoder);
		if (status != TALKPATH_STATUS_OK) {
			return -1;
		}
	}
	return 0;
}

/* The translators. */

#define AUDIO(codec_name, rate) { .name = (codec_name), .type = AST_MEDIA_TYPE_AUDIO, .sample_rate = (rate) }

#define OPUS_WAYS(hz, slin_format) \
	{ \
		.codec = OPUS, \
		.rate = (hz), \
		.translator = { \
			.name = "talkpath_opus_to_" slin_format, \
			.src_codec = AUDIO("opus", 48000), \
			.dst_codec = AUDIO("slin", (hz)), \
			.format = slin_format, \
			.newpvt = opus_decoder_new, \
			.framein = opus_decoder_framein, \
			.frameout = slin_frameout, \
			.destroy = opus_decoder_destroy, \
			.sample = sample_opus, \
			.desc_size = sizeof(struct opus_decoder), \
			.buffer_samples = (hz) / 1000 * (PACKET_MS + CONCEALED_MS), \
			.buf_size = 2 * (hz) / 1000 * (PACKET_MS + CONCEALED_MS), \
			.native_plc = 1, \
		}, \
	}, \
	{ \
		.codec = OPUS, \
		.rate = (hz), \
		.translator = { \
			.name = "talkpath_" slin_format "_to_opus", \
			.src_codec = AUDIO("slin", (hz)), \
			.dst_codec = AUDIO("opus", 48000), \
			.format = "opus", \
			.newpvt = opus_encoder_new, \
			.framein = opus_encoder_framein, \
			.frameout = opus_encoder_frameout, \
			.destroy = opus_encoder_destroy, \
			.sample = sample_slin_##hz, \
			.desc_size = sizeof(struct opus_encoder) + 2 * (hz) / 1000 * HELD_MS, \
			.buffer_samples = 48 * HELD_MS, \
			.buf_size = PACKET_BYTES, \
		}, \
	}

#define PLAIN_WAYS(number, coded, hz, slin_format) \
	{ \
		.codec = (number), \
		.rate = (hz), \
		.translator = { \
			.name = "talkpath_" #coded "_to_" slin_format, \
			.src_codec = AUDIO(#coded, (hz)), \
			.dst_codec = AUDIO("slin", (hz)), \
			.format = slin_format, \
			.newpvt = plain_new, \
			.framein = plain_decoder_framein, \
			.destroy = plain_destroy, \
			.sample = sample_##coded, \
			.desc_size = sizeof(struct plain), \
			.buffer_samples = (hz) / 1000 * HELD_MS, \
			.buf_size = 2 * (hz) / 1000 * HELD_MS, \
		}, \
	}, \
	{ \
		.codec = (number), \
		.rate = (hz), \
		.translator = { \
			.name = "talkpath_" slin_format "_to_" #coded, \
			.src_codec = AUDIO("slin", (hz)), \
			.dst_codec = AUDIO(#coded, (hz)), \
			.format = #coded, \
			.newpvt = plain_new, \
			.framein = plain_encoder_framein, \
			.destroy = plain_destroy, \
			.sample = sample_slin_##hz, \
			.desc_size = sizeof(struct plain), \
			.buffer_samples = (hz) / 1000 * HELD_MS, \
			.buf_size = (hz) / 1000 * HELD_MS, \
		}, \
	}

static struct way ways[] = {
	OPUS_WAYS(8000, "slin"),
	OPUS_WAYS(12000, "slin12"),
	OPUS_WAYS(16000, "slin16"),
	OPUS_WAYS(24000, "slin24"),
	OPUS_WAYS(48000, "slin48"),
	PLAIN_WAYS(G722, g722, 16000, "slin16"),
	PLAIN_WAYS(ULAW, ulaw, 8000, "slin"),
	PLAIN_WAYS(ALAW, alaw, 8000, "slin"),
};

/* What a translation costs by Asterisk's table: of all ways from one format to another the cheapest is taken.
 *
 * Opus comes from and goes to every rate at no loss, so that each is the original one; of several on the way to another
 * rate the highest loses least. What this adds is far below the distance of two entries of the table (15,000). */
static int table_cost(const struct way *way, enum place place)
{
	int to_slin = !strcmp(way->translator.dst_codec.name, "slin");
	int cost = to_slin ? AST_TRANS_COST_LY_LL_ORIGSAMP : AST_TRANS_COST_LL_LY_ORIGSAMP;

	return cost - (int) way->rate / 4000 + (place == PLACE_FIRST ? -100 : 100);
}

/* Registers one translator, and sees to its place: of two that lead from the same format to the same, Asterisk takes the
 * one with the lower cost by the table only if the other does not measure as the faster one. */
static int register_way(struct way *way, enum place place)
{
	struct ast_translator *translator = &way->translator;

	translator->table_cost = table_cost(way, place);
	if (ast_register_translator(translator)) {
		return -1;
	}
	way->is_registered = 1;
	way->cost_us = translator->comp_cost;
	translator->comp_cost = place == PLACE_FIRST ? 0 : UNKNOWN_COST;
	ast_translator_deactivate(translator);
	ast_translator_activate(translator);
	return 0;
}

static int register_ways(void)
{
	struct way *way;
	int res = 0;

	for (way = ways; way < ways + ARRAY_LEN(ways); way++) {
		if (settings.places[way->codec] != PLACE_NONE) {
			res |= register_way(way, settings.places[way->codec]);
		}
	}
	return res;
}

static void unregister_ways(void)
{
	struct way *way;

	for (way = ways; way < ways + ARRAY_LEN(ways); way++) {
		if (way->is_registered) {
			ast_unregister_translator(&way->translator);
			way->is_registered = 0;
		}
	}
}

/* How long packets of Opus are: Asterisk takes each for 20 ms, and lets a module that knows better say so. */

static struct ast_codec *opus_codec;
static int (*samples_by_core)(struct ast_frame *frame);

static int samples_by_talkpath(struct ast_frame *frame)
{
	size_t samples;

	if (talkpath_opus_packet_samples(frame->data.ptr, frame->datalen, 48000, &samples) != TALKPATH_STATUS_OK) {
		return 0;
	}
	return samples;
}

/* Whether the length of a packet is known already: whoever took it for 20 ms would be wrong about this one. */
static int is_length_told(void)
{
	uint8_t ms60[] = { 0x18 };
	struct ast_frame frame = {
		.frametype = AST_FRAME_VOICE,
		.subclass.format = ast_format_opus,
		.data.ptr = ms60,
		.datalen = sizeof(ms60),
	};

	return opus_codec->samples_count(&frame) == 2880;
}

static void tell_lengths(void)
{
	if (opus_codec || !(opus_codec = ast_codec_get("opus", AST_MEDIA_TYPE_AUDIO, 48000))) {
		return;
	}
	if (is_length_told()) {
		ao2_cleanup(opus_codec);
		opus_codec = NULL;
		return;
	}
	samples_by_core = opus_codec->samples_count;
	opus_codec->samples_count = samples_by_talkpath;
}

/* Puts back who told before. Whoever has come to tell since then will put this module back, which must stay till then. */
static int stop_telling_lengths(void)
{
	if (!opus_codec) {
		return 0;
	}
	if (opus_codec->samples_count == samples_by_talkpath) {
		opus_codec->samples_count = samples_by_core;
	} else if (is_length_told()) {
		return -1;
	}
	ao2_cleanup(opus_codec);
	opus_codec = NULL;
	return 0;
}

/* What is offered of Opus: that copies of lost packets are of use, which Asterisk by itself denies. */

static struct ast_format *offered, *offered_before;

static void offer(void)
{
	if (!settings.opus.fec || !ast_format_opus
		|| !(offered = ast_format_attribute_set(ast_format_opus, CODEC_OPUS_ATTR_FEC, "1"))) {
		return;
	}
	offered_before = ao2_bump(ast_format_opus);
	ast_format_cache_set(offered);
}

static void stop_offering(void)
{
	if (offered && ast_format_opus == offered) {
		ast_format_cache_set(offered_before);
	}
	ao2_cleanup(offered);
	ao2_cleanup(offered_before);
	offered = offered_before = NULL;
}

/* Settings. */

static int read_number(const struct ast_variable *v, unsigned int *number)
{
	char end;

	if (sscanf(v->value, "%30u%c", number, &end) != 1) {
		ast_log(LOG_ERROR, "%s, line %d: %s of '%s', wanted a number\n", config_file, v->lineno, v->name, v->value);
		return -1;
	}
	return 0;
}

static int read_place(const struct ast_variable *v, enum place *place)
{
	if (!strcasecmp(v->value, "fallback")) {
		*place = PLACE_FALLBACK;
	} else if (ast_true(v->value)) {
		*place = PLACE_FIRST;
	} else if (ast_false(v->value)) {
		*place = PLACE_NONE;
	} else {
		ast_log(LOG_ERROR, "%s, line %d: %s of '%s', wanted yes, fallback or no\n", config_file, v->lineno, v->name,
			v->value);
		return -1;
	}
	return 0;
}

static int read_setting(const struct ast_variable *v, struct settings *to)
{
	int codec;

	for (codec = 0; codec < CODECS; codec++) {
		if (!strcasecmp(v->name, codec_names[codec])) {
			return read_place(v, &to->places[codec]);
		}
	}
	if (!strcasecmp(v->name, "bitrate")) {
		return read_number(v, &to->opus.bitrate);
	}
	if (!strcasecmp(v->name, "complexity")) {
		return read_number(v, &to->opus.complexity);
	}
	if (!strcasecmp(v->name, "packet_loss")) {
		return read_number(v, &to->opus.packet_loss);
	}
	if (!strcasecmp(v->name, "max_playback_rate")) {
		return read_number(v, &to->opus.max_playback_rate_hz);
	}
	if (!strcasecmp(v->name, "fec")) {
		to->opus.fec = ast_true(v->value);
	} else if (!strcasecmp(v->name, "dtx")) {
		to->opus.dtx = ast_true(v->value);
	} else if (!strcasecmp(v->name, "cbr")) {
		to->opus.cbr = ast_true(v->value);
	} else {
		ast_log(LOG_ERROR, "%s, line %d: no setting is called '%s'\n", config_file, v->lineno, v->name);
		return -1;
	}
	return 0;
}

/* Returns 1 where there is nothing new, -1 where something is wrong: then all stays as it is. */
static int read_settings(int is_reload)
{
	struct ast_flags flags = { is_reload ? CONFIG_FLAG_FILEUNCHANGED : 0 };
	struct ast_config *config = ast_config_load(config_file, flags);
	struct settings fresh = { .places = { PLACE_FIRST, PLACE_FALLBACK, PLACE_FALLBACK, PLACE_FALLBACK } };
	TalkpathEncoder *encoder = NULL;
	struct ast_variable *v;
	char text[256];
	int res = 0;

	if (config == CONFIG_STATUS_FILEUNCHANGED) {
		return 1;
	}
	if (config == CONFIG_STATUS_FILEINVALID
		|| talkpath_opus_options_default(&fresh.opus, sizeof(fresh.opus)) != TALKPATH_STATUS_OK) {
		return -1;
	}
	if (config) {
		for (v = ast_variable_browse(config, "general"); v; v = v->next) {
			res |= read_setting(v, &fresh);
		}
		for (v = ast_variable_browse(config, "opus"); v; v = v->next) {
			res |= read_setting(v, &fresh);
		}
		ast_config_destroy(config);
	}
	if (!res && talkpath_opus_encoder_new(16000, &fresh.opus, &encoder) != TALKPATH_STATUS_OK) {
		ast_log(LOG_ERROR, "%s: %s\n", config_file, last_error(text, sizeof(text)));
		res = -1;
	}
	talkpath_encoder_free(encoder);
	if (res) {
		return -1;
	}
	ast_rwlock_wrlock(&settings_lock);
	settings = fresh;
	ast_rwlock_unlock(&settings_lock);
	return 0;
}

/* The command line. */

static char *show_translators(struct ast_cli_entry *e, int cmd, struct ast_cli_args *a)
{
	static const char *const places[] = { "no", "fallback", "yes" };
	const struct way *way;

	switch (cmd) {
	case CLI_INIT:
		e->command = "talkpath show translators";
		e->usage = "Usage: talkpath show translators\n"
			"       Lists the translators of codec_talkpath with what one second of audio cost when\n"
			"       they were registered, and with what has gone through them since.\n";
		return NULL;
	case CLI_GENERATE:
		return NULL;
	}
	if (a->argc != e->args) {
		return CLI_SHOWUSAGE;
	}
	ast_cli(a->fd, "%-26s %-9s %9s %8s %8s %10s %10s %10s %6s %8s\n", "Translator", "Register", "Cost (us)", "Streams",
		"So far", "Packets", "Concealed", "Recovered", "Late", "Refused");
	for (way = ways; way < ways + ARRAY_LEN(ways); way++) {
		ast_cli(a->fd, "%-26s %-9s %9d %8u %8u %10" PRIu64 " %10" PRIu64 " %10" PRIu64 " %6" PRIu64 " %8" PRIu64 "\n",
			way->translator.name, places[settings.places[way->codec]], way->cost_us,
			COUNTED(way, streams), COUNTED(way, streams_all), COUNTED(way, packets), COUNTED(way, concealed), COUNTED(way, recovered),
			COUNTED(way, late), COUNTED(way, refused));
	}
	ast_cli(a->fd, "libtalkpath %s\n", talkpath_version());
	return CLI_SUCCESS;
}

static struct ast_cli_entry commands[] = {
	AST_CLI_DEFINE(show_translators, "List talkpath's translators"),
};

/* The module. */

static int reload_module(void)
{
	int res = read_settings(1);

	if (res) {
		return res < 0 ? AST_MODULE_LOAD_DECLINE : AST_MODULE_LOAD_SUCCESS;
	}
	unregister_ways();
	stop_offering();
	offer();
	return register_ways() ? AST_MODULE_LOAD_DECLINE : AST_MODULE_LOAD_SUCCESS;
}

static int unload_module(void)
{
	if (stop_telling_lengths()) {
		ast_log(LOG_ERROR, "Another module that knows Opus was loaded later: unload it first\n");
		return -1;
	}
	ast_cli_unregister_multiple(commands, ARRAY_LEN(commands));
	unregister_ways();
	stop_offering();
	return 0;
}

static int load_module(void)
{
	if (talkpath_abi_version() != TALKPATH_ABI_VERSION) {
		ast_log(LOG_ERROR, "libtalkpath %s is another version than this module was built for\n", talkpath_version());
		return AST_MODULE_LOAD_DECLINE;
	}
	if (read_settings(0) || make_samples()) {
		return AST_MODULE_LOAD_DECLINE;
	}
	tell_lengths();
	offer();
	if (register_ways() || ast_cli_register_multiple(commands, ARRAY_LEN(commands))) {
		unload_module();
		return AST_MODULE_LOAD_DECLINE;
	}
	return AST_MODULE_LOAD_SUCCESS;
}

/* After the module that reads Opus' attributes, and before the channel drivers, which keep what formats are offered. */
AST_MODULE_INFO(ASTERISK_GPL_KEY, AST_MODFLAG_LOAD_ORDER, "Opus, G.722 and G.711 by talkpath",
	.support_level = AST_MODULE_SUPPORT_EXTENDED,
	.load = load_module,
	.unload = unload_module,
	.reload = reload_module,
	.load_pri = AST_MODPRI_TIMING,
);
