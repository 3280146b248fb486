/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * codec_talkpath without Asterisk: packets that get lost, come late, are none or too many, under AddressSanitizer and
 * valgrind. What Asterisk would do around a translator stands below, as far as the module can tell.
 */
#define ASTMM_LIBC ASTMM_IGNORE
#include "codec_talkpath.c"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                                \
			exit(1);                                                                                       \
		}                                                                                                      \
	} while (0)

/* --- Asterisk, as far as the module sees it */

struct ast_format {
	const char *name;
	unsigned int rate;
	int bitrate;
	int cbr;
};

static struct ast_format slins[] = {
	{ .name = "slin", .rate = 8000 },
	{ .name = "slin12", .rate = 12000 },
	{ .name = "slin16", .rate = 16000 },
	{ .name = "slin24", .rate = 24000 },
	{ .name = "slin48", .rate = 48000 },
};
static struct ast_format opus = { .name = "opus", .rate = 48000 };
static struct ast_format opus_with_fec = { .name = "opus", .rate = 48000 };
static struct ast_format g722 = { .name = "g722", .rate = 16000 };
static struct ast_format ulaw = { .name = "ulaw", .rate = 8000 };
static struct ast_format alaw = { .name = "alaw", .rate = 8000 };
struct ast_format *ast_format_opus = &opus, *ast_format_g722 = &g722, *ast_format_ulaw = &ulaw, *ast_format_alaw = &alaw;
struct ast_flags64 ast_options;
int option_debug;

static int registered, complaints, core_samples_asked;
static struct ast_variable *configured;
static struct ast_config *const config = (struct ast_config *) &configured;

static int core_samples(struct ast_frame *frame)
{
	(void) frame;
	core_samples_asked++;
	return 960;
}

static struct ast_codec opus_of_core = { .name = "opus", .samples_count = core_samples };

struct ast_codec *ast_codec_get(const char *name, enum ast_media_type type, unsigned int sample_rate)
{
	CHECK(!strcmp(name, "opus") && type == AST_MEDIA_TYPE_AUDIO && sample_rate == 48000);
	return &opus_of_core;
}

struct ast_format *ast_format_cache_get_slin_by_rate(unsigned int rate)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(slins); i++) {
		if (slins[i].rate == rate) {
			return &slins[i];
		}
	}
	CHECK(!"a rate that the module does not have");
	return NULL;
}

const void *ast_format_attribute_get(const struct ast_format *format, const char *name)
{
	if (format->bitrate && !strcmp(name, CODEC_OPUS_ATTR_MAX_AVERAGE_BITRATE)) {
		return &format->bitrate;
	}
	return format->cbr && !strcmp(name, CODEC_OPUS_ATTR_CBR) ? &format->cbr : NULL;
}

struct ast_format *ast_format_attribute_set(const struct ast_format *format, const char *name, const char *value)
{
	CHECK(format == &opus && !strcmp(name, "useinbandfec") && !strcmp(value, "1"));
	return &opus_with_fec;
}

int ast_format_cache_set(struct ast_format *format)
{
	ast_format_opus = format;
	return 0;
}

int __ast_register_translator(struct ast_translator *t, struct ast_module *module)
{
	(void) module;
	CHECK(t->sample()->datalen > 0 && t->table_cost > 0);
	registered++;
	return 0;
}

int ast_unregister_translator(struct ast_translator *t)
{
	(void) t;
	registered--;
	return 0;
}

void ast_translator_activate(struct ast_translator *t)
{
	t->active = 1;
}

void ast_translator_deactivate(struct ast_translator *t)
{
	t->active = 0;
}

struct ast_frame *__ast_frisolate(struct ast_frame *fr, const char *file, int line, const char *func)
{
	struct ast_frame *copy = malloc(sizeof(*copy));

	(void) file, (void) line, (void) func;
	CHECK(copy);
	*copy = *fr;
	copy->data.ptr = malloc(fr->datalen);
	CHECK(copy->data.ptr || !fr->datalen);
	memcpy(copy->data.ptr, fr->data.ptr, fr->datalen);
	AST_LIST_NEXT(copy, frame_list) = NULL;
	return copy;
}

struct ast_frame *ast_trans_frameout(struct ast_trans_pvt *pvt, int datalen, int samples)
{
	if (!samples) {
		if (!pvt->samples) {
			return NULL;
		}
		pvt->f.samples = pvt->samples;
		pvt->f.datalen = pvt->datalen;
		pvt->samples = pvt->datalen = 0;
	} else {
		pvt->f.samples = samples;
		pvt->f.datalen = datalen;
	}
	pvt->f.data.ptr = pvt->outbuf.c;
	return ast_frisolate(&pvt->f);
}

struct ast_config *ast_config_load2(const char *filename, const char *who_asked, struct ast_flags flags)
{
	(void) filename, (void) who_asked, (void) flags;
	return configured ? config : NULL;
}

struct ast_variable *ast_variable_browse(const struct ast_config *from, const char *category)
{
	CHECK(from == config);
	return !strcmp(category, "opus") ? configured : NULL;
}

void ast_config_destroy(struct ast_config *from)
{
	CHECK(from == config);
}

int ast_true(const char *value)
{
	return !strcmp(value, "yes");
}

int ast_false(const char *value)
{
	return !strcmp(value, "no");
}

void ast_log(int level, const char *file, int line, const char *function, const char *fmt, ...)
{
	(void) level, (void) file, (void) line, (void) function, (void) fmt;
	complaints++;
}

void ast_cli(int fd, const char *fmt, ...)
{
	(void) fd, (void) fmt;
}

unsigned int ast_debug_get_by_module(const char *module)
{
	(void) module;
	return 0;
}

int __ast_cli_register_multiple(struct ast_cli_entry *e, int len, struct ast_module *mod)
{
	(void) e, (void) len, (void) mod;
	return 0;
}

int ast_cli_unregister_multiple(struct ast_cli_entry *e, int len)
{
	(void) e, (void) len;
	return 0;
}

int __ao2_ref(void *o, int delta, const char *tag, const char *file, int line, const char *func)
{
	(void) o, (void) delta, (void) tag, (void) file, (void) line, (void) func;
	return 1;
}

void __ao2_cleanup_debug(void *obj, const char *tag, const char *file, int line, const char *function)
{
	(void) obj, (void) tag, (void) file, (void) line, (void) function;
}

int __ast_rwlock_rdlock(const char *file, int line, const char *func, ast_rwlock_t *t, const char *name)
{
	(void) file, (void) line, (void) func, (void) t, (void) name;
	return 0;
}

int __ast_rwlock_wrlock(const char *file, int line, const char *func, ast_rwlock_t *t, const char *name)
{
	(void) file, (void) line, (void) func, (void) t, (void) name;
	return 0;
}

int __ast_rwlock_unlock(const char *file, int line, const char *func, ast_rwlock_t *t, const char *name)
{
	(void) file, (void) line, (void) func, (void) t, (void) name;
	return 0;
}

void ast_module_register(const struct ast_module_info *info)
{
	(void) info;
}

void ast_module_unregister(const struct ast_module_info *info)
{
	(void) info;
}

/* --- a stream through one translator */

struct stream {
	struct ast_trans_pvt *pvt;
	int16_t heard[48000 * 4];
	size_t samples;
	size_t frames;
	size_t longest;
	size_t bytes;
};

static struct way *way_called(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(ways); i++) {
		if (!strcmp(ways[i].translator.name, name)) {
			return &ways[i];
		}
	}
	CHECK(!"a translator of that name");
	return NULL;
}

/* As Asterisk does it: everything in one piece of memory, each part of it exactly as long as was asked for. */
static void begin(struct stream *s, const char *name, struct ast_format *wanted)
{
	struct ast_translator *t = &way_called(name)->translator;

	memset(s, 0, sizeof(*s));
	s->pvt = calloc(1, sizeof(*s->pvt));
	CHECK(s->pvt);
	s->pvt->t = t;
	s->pvt->pvt = calloc(1, t->desc_size);
	s->pvt->outbuf.c = calloc(1, t->buf_size);
	s->pvt->explicit_dst = wanted;
	CHECK(s->pvt->pvt && s->pvt->outbuf.c);
	CHECK(t->newpvt(s->pvt) == 0);
	s->pvt->f.data.ptr = s->pvt->outbuf.c;
}

static void end(struct stream *s)
{
	s->pvt->t->destroy(s->pvt);
	free(s->pvt->pvt);
	free(s->pvt->outbuf.c);
	free(s->pvt);
}

/* One frame into a translator, with the checks that Asterisk makes, and what comes out of it. */
static void feed(struct stream *s, const void *data, size_t bytes, int samples, int number)
{
	struct ast_translator *t = s->pvt->t;
	/* A copy as long as it is, so that a byte too many is found. */
	uint8_t *copy = malloc(bytes ? bytes : 1);
	struct ast_frame f = {
		.frametype = AST_FRAME_VOICE, .data.ptr = copy, .datalen = bytes, .samples = samples, .seqno = MAX(number, 0)
	};
	struct ast_frame *out, *next;

	CHECK(copy);
	if (bytes) {
		memcpy(copy, data, bytes);
	}
	if (number >= 0) {
		ast_set_flag(&f, AST_FRFLAG_HAS_SEQUENCE_NUMBER);
	}
	if ((bytes || t->native_plc)
		&& s->pvt->samples + samples * (int64_t) t->dst_codec.sample_rate / t->src_codec.sample_rate <= t->buffer_samples) {
		t->framein(s->pvt, &f);
	}
	for (out = t->frameout ? t->frameout(s->pvt) : ast_trans_frameout(s->pvt, 0, 0); out; out = next) {
		next = AST_LIST_NEXT(out, frame_list);
		if (!strcmp(t->dst_codec.name, "slin")) {
			CHECK(out->datalen == 2 * out->samples);
			CHECK(s->samples + out->samples <= ARRAY_LEN(s->heard));
			memcpy(s->heard + s->samples, out->data.ptr, out->datalen);
		}
		s->samples += out->samples;
		s->bytes += out->datalen;
		s->longest = MAX(s->longest, (size_t) out->samples);
		s->frames++;
		free(out->data.ptr);
		free(out);
	}
	free(copy);
}

/* --- a voice, in packets */

enum { RATE = 16000, FRAME = RATE / 50, PACKETS = 100, ROOM = 1500 };

static int16_t said[PACKETS * FRAME];
static uint8_t packets[PACKETS][ROOM];
static size_t lens[PACKETS];

static void speak(void)
{
	TalkpathEncoder *encoder;
	size_t i, n;
	int harmonic;

	for (i = 0; i < ARRAY_LEN(said); i++) {
		double at = (double) i / RATE, phase = 2 * 3.14159265 * (120 * at + 60 * at * at);

		said[i] = 0;
		for (harmonic = 1; harmonic < 12; harmonic++) {
			said[i] += 2400 / harmonic * sin(harmonic * phase) * (1 + sin(19 * at)) / 2;
		}
	}
	CHECK(talkpath_encoder_new(TALKPATH_CODEC_OPUS, RATE, &encoder) == TALKPATH_STATUS_OK);
	for (n = 0; n < PACKETS; n++) {
		CHECK(talkpath_encoder_encode(encoder, said + n * FRAME, FRAME, packets[n], ROOM, &lens[n]) == TALKPATH_STATUS_OK);
	}
	talkpath_encoder_free(encoder);
}

static void hear(struct stream *s, size_t n, int number)
{
	feed(s, packets[n], lens[n], 960, number);
}

/* --- what is tested */

static void every_rate_there_and_back(void)
{
	size_t i, n;

	for (i = 0; i < ARRAY_LEN(slins); i++) {
		static struct stream to, from;
		static int16_t silence[960];
		char name[64];

		snprintf(name, sizeof(name), "talkpath_%s_to_opus", slins[i].name);
		begin(&to, name, NULL);
		/* Frames of any length: 20 ms in all, 50 times over, in pieces of a third and the rest. */
		for (n = 0; n < 50; n++) {
			size_t whole = slins[i].rate / 50, third = whole / 3;

			feed(&to, silence, 2 * third, third, -1);
			feed(&to, silence, 2 * (whole - third), whole - third, -1);
		}
		CHECK(to.frames == 50 && to.samples == 50 * 960 && to.longest == 960);
		/* More than it holds at a time is refused by the core, what it just holds is not. */
		feed(&to, said, 2 * slins[i].rate / 2, slins[i].rate / 2, -1);
		CHECK(to.frames == 75);
		end(&to);

		snprintf(name, sizeof(name), "talkpath_opus_to_%s", slins[i].name);
		begin(&from, name, NULL);
		CHECK(from.pvt->f.subclass.format == &slins[i]);
		for (n = 0; n < PACKETS; n++) {
			hear(&from, n, n);
		}
		CHECK(from.frames == PACKETS && from.samples == PACKETS * slins[i].rate / 50);
		end(&from);
	}
}

static void what_is_asked_for_is_done(void)
{
	static struct stream s;
	struct ast_format asked = { .name = "opus", .rate = 48000, .bitrate = 12000, .cbr = 1 };
	size_t n;

	begin(&s, "talkpath_slin16_to_opus", &asked);
	for (n = 0; n < PACKETS; n++) {
		feed(&s, said + n * FRAME, 2 * FRAME, FRAME, -1);
	}
	CHECK(s.bytes == PACKETS * 30);
	end(&s);
}

/* Feeds all packets but those from `lost` to before `back`, told of by the core or not, and compares what is heard. */
static void losing(size_t lost, size_t back, int is_told, int first_number, size_t recovered, size_t concealed)
{
	static struct stream s;
	struct way *way = way_called("talkpath_opus_to_slin16");
	struct counters before = way->counters;
	size_t n;

	begin(&s, "talkpath_opus_to_slin16", NULL);
	for (n = 0; n < PACKETS; n++) {
		if (n < lost || n >= back) {
			hear(&s, n, (first_number + n) & 0xffff);
		} else if (is_told) {
			feed(&s, NULL, 0, 960, -1);
		}
	}
	CHECK(s.samples == (PACKETS - (back - lost) + recovered + concealed) * FRAME);
	CHECK(s.longest == FRAME);
	CHECK(way->counters.recovered - before.recovered == recovered);
	CHECK(way->counters.concealed - before.concealed == concealed);
	CHECK(way->counters.late == before.late && way->counters.refused == before.refused);
	end(&s);
}

static void lost_packets_are_made_up(void)
{
	losing(50, 51, 0, 1, 1, 0);
	losing(50, 51, 1, 1, 1, 0);
	/* Around the end of the numbers. */
	losing(50, 51, 0, 65535 - 50, 1, 0);
	losing(50, 52, 0, 65535 - 50, 1, 1);
	losing(50, 53, 1, 65535 - 51, 1, 2);
	/* 200 ms are the most: the last of them is owed, and nothing of the rest is. */
	losing(30, 40, 0, 1, 1, 9);
	losing(30, 41, 1, 1, 0, 10);
	losing(30, 90, 1, 1, 0, 10);
	losing(30, 90, 0, 1, 0, 10);
	/* Before there was anything, nothing is lost. */
	losing(0, 10, 1, 1, 0, 0);
}

static void late_packets_are_dropped_and_a_new_sender_is_heard(void)
{
	static struct stream s;
	struct way *way = way_called("talkpath_opus_to_slin16");
	uint64_t late = way->counters.late;
	size_t n;

	begin(&s, "talkpath_opus_to_slin16", NULL);
	for (n = 0; n < 20; n++) {
		hear(&s, n, 200 + n);
	}
	hear(&s, 21, 221);
	hear(&s, 20, 220);
	hear(&s, 21, 221);
	hear(&s, 22, 222);
	CHECK(s.samples == 23 * FRAME && way->counters.late - late == 2);
	/* Somebody who counts from elsewhere: from far away at once, from a little behind with the second packet. */
	for (n = 30; n < 40; n++) {
		hear(&s, n, 40000 + n);
	}
	CHECK(s.samples == 33 * FRAME && way->counters.late - late == 2);
	for (n = 40; n < 50; n++) {
		hear(&s, n, 40000 + n - 25);
	}
	CHECK(s.samples == 42 * FRAME && way->counters.late - late == 3);
	/* And somebody who does not count. */
	for (n = 50; n < 60; n++) {
		hear(&s, n, -1);
	}
	CHECK(s.samples == 52 * FRAME);
	end(&s);
}

static void what_is_no_packet_is_a_lost_one(void)
{
	static struct stream s;
	struct way *way = way_called("talkpath_opus_to_slin16");
	uint64_t refused = way->counters.refused;
	uint8_t noise[ROOM];
	uint32_t state = 7;
	size_t n, i;

	begin(&s, "talkpath_opus_to_slin16", NULL);
	feed(&s, "\x1b\x03", 2, 960, 1);
	CHECK(s.samples == 0 && way->counters.refused == refused + 1);
	for (n = 0; n < 10; n++) {
		hear(&s, n, 2 + n);
	}
	feed(&s, "\x1b\x03", 2, 960, 12);
	hear(&s, 11, 13);
	CHECK(s.samples == 12 * FRAME && way->counters.refused == refused + 2);
	for (n = 0; n < 500; n++) {
		size_t len = 1 + (state >> 8) % (ROOM - 1);

		for (i = 0; i < len; i++) {
			state = state * 1664525 + 1013904223;
			noise[i] = state >> 24;
		}
		s.samples = 0;
		feed(&s, noise, len, 960, 14 + n);
		CHECK(s.longest <= FRAME);
	}
	end(&s);
}

static void asterisks_own_concealment_is_not_doubled(void)
{
	static struct stream s;
	size_t n;

	ast_set_flag64(&ast_options, AST_OPT_FLAG_GENERIC_PLC);
	begin(&s, "talkpath_opus_to_slin", NULL);
	for (n = 0; n < 20; n++) {
		if (n == 10) {
			feed(&s, NULL, 0, 960, -1);
		} else {
			hear(&s, n, -1);
		}
		CHECK(s.samples == (n + 1) * 160);
	}
	end(&s);
	ast_clear_flag64(&ast_options, AST_OPT_FLAG_GENERIC_PLC);
}

static void plain_codecs_there_and_back(void)
{
	static const char *const names[][2] = {
		{ "talkpath_slin16_to_g722", "talkpath_g722_to_slin16" },
		{ "talkpath_slin_to_ulaw", "talkpath_ulaw_to_slin" },
		{ "talkpath_slin_to_alaw", "talkpath_alaw_to_slin" },
	};
	static struct stream to, from;
	size_t i, n, at;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		begin(&to, names[i][0], NULL);
		/* Odd lengths, too: two samples of G.722 are one byte. */
		for (n = 0, at = 0; n < 60; n++) {
			size_t len = 101 + n;

			feed(&to, said + at, 2 * len, len, -1);
			at += len;
		}
		CHECK(to.samples == (i ? at : at / 2 * 2) && to.bytes == (i ? at : at / 2));
		end(&to);
		begin(&from, names[i][1], NULL);
		for (n = 0; n < 50; n++) {
			feed(&from, packets[n], 100, i ? 100 : 200, -1);
		}
		/* Nothing comes of nothing: these have no concealment of their own. */
		feed(&from, NULL, 0, 160, -1);
		CHECK(from.samples == 50 * (i ? 100 : 200));
		end(&from);
	}
}

static void it_loads_and_unloads(void)
{
	struct ast_frame frame = { .data.ptr = packets[0], .datalen = 1, .subclass.format = &opus };
	struct ast_variable loud = { .name = "bitrate", .value = "loud" }, high = { .name = "bitrate", .value = "200000" };
	struct ast_variable wrong = { .name = "volume", .value = "1" }, low = { .name = "bitrate", .value = "12000" };
	struct ast_variable *refused[] = { &loud, &high, &wrong };
	int n;

	CHECK(load_module() == AST_MODULE_LOAD_SUCCESS && registered == ARRAY_LEN(ways) && !complaints);
	CHECK(ast_format_opus == &opus_with_fec);
	/* 60 ms of narrowband speech. */
	packets[0][0] = 0x18;
	CHECK(opus_of_core.samples_count(&frame) == 2880);
	for (n = 0; n < 3; n++) {
		configured = refused[n];
		CHECK(reload_module() == AST_MODULE_LOAD_DECLINE && registered == ARRAY_LEN(ways) && complaints == n + 1);
	}
	CHECK(settings.opus.bitrate == 32000);
	configured = &low;
	CHECK(reload_module() == AST_MODULE_LOAD_SUCCESS && registered == ARRAY_LEN(ways) && settings.opus.bitrate == 12000);
	configured = NULL;
	CHECK(unload_module() == 0 && registered == 0);
	CHECK(ast_format_opus == &opus && opus_of_core.samples_count == core_samples);
}

int main(void)
{
	int n;

	for (n = 0; n < 2; n++) {
		speak();
		it_loads_and_unloads();
		complaints = 0;
	}
	speak();
	CHECK(load_module() == AST_MODULE_LOAD_SUCCESS);
	every_rate_there_and_back();
	what_is_asked_for_is_done();
	lost_packets_are_made_up();
	late_packets_are_dropped_and_a_new_sender_is_heard();
	what_is_no_packet_is_a_lost_one();
	asterisks_own_concealment_is_not_doubled();
	plain_codecs_there_and_back();
	for (n = 0; n < (int) ARRAY_LEN(ways); n++) {
		CHECK(ways[n].counters.streams == 0);
	}
	CHECK(unload_module() == 0 && !complaints && core_samples_asked > 0);
	return 0;
}
