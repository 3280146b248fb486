"""Judges the voice activity detectors on recorded prompts in noise: both stages, Silero alone and earshot alone.

    python benches/vad_corpus.py                 # builds the corpus from Debian's prompt packages, then judges
    python benches/vad_corpus.py --clips FOLDER  # takes *.raw (8 kHz, s16le) or *.wav clips named <speaker>_<n>

Needs numpy and scipy, cargo, and for the packages apt-get and dpkg (nothing is installed). Speech is cut into phrases,
set apart by pauses of 0.6 to 2.5 s, limited to the telephone band, mixed with noise and sent through mu-law. Labels
come from the clean energy: pauses shorter than 150 ms count as speech, and the 50 ms around each edge are not judged.
A quarter of the prompts, chosen by a hash of their names, is kept for judging; `vad_train.py` fits on the others.
"""

import argparse
import glob
import hashlib
import os
import subprocess
import tempfile
import wave

import numpy as np
from scipy import signal, stats

RATE = 8000
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
CACHE = os.path.join(ROOT, "target", "vad-corpus")
PACKAGES = [f"asterisk-core-sounds-{language}-wav" for language in ("en", "es", "fr", "it", "ru")]
NOISES = ("white", "street", "babble")
SNRS = (10, 5, 0)
BAND = signal.butter(4, [280, 3450], "band", fs=RATE, output="sos")


def fetch_packages():
    """Downloads and unpacks the prompt packages once; returns the folder of speakers."""
    sounds = os.path.join(CACHE, "usr/share/asterisk/sounds")
    if not os.path.isdir(sounds):
        os.makedirs(CACHE, exist_ok=True)
        subprocess.check_call(["apt-get", "-q", "download", *PACKAGES], cwd=CACHE)
        for package in glob.glob(os.path.join(CACHE, "*.deb")):
            subprocess.check_call(["dpkg", "-x", package, CACHE])
    return sounds


def is_judged(name):
    """Whether a prompt belongs to the quarter that is kept for judging."""
    return hashlib.sha256(name.encode()).digest()[0] % 4 == 0


def load_clips(folder, judged):
    """Reads clips as {speaker: [samples]}; `judged` picks one side of the split, None takes all."""
    clips = {}
    for path in sorted(glob.glob(os.path.join(folder, "**", "*"), recursive=True)):
        name = os.path.basename(path)
        if path.endswith(".wav"):
            with wave.open(path) as file:
                if file.getframerate() != RATE:
                    continue
                samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
            relative = os.path.relpath(path, folder).split(os.sep)
            speaker = relative[0] if len(relative) > 1 else name.rsplit("_", 1)[0]
        elif path.endswith("8k.raw"):
            samples = np.fromfile(path, np.int16)
            speaker = name.removesuffix("_8k.raw").rsplit("_", 1)[0]
        else:
            continue
        if judged is not None and is_judged(name) != judged:
            continue
        if (
            len(samples) < RATE
            or np.abs(samples).max() < 500
            or "silence" in path
            or "beep" in name
            or "monkeys" in name
        ):
            continue
        clips.setdefault(speaker, []).append(level_to(samples.astype(float), -26))
    if not clips:
        raise SystemExit(f"no 8 kHz clips in {folder}")
    return clips


def level_to(samples, dbfs):
    """Scales so that the active part has the level `dbfs`."""
    energy = frame_energy(samples, 160)
    active = energy[energy > 1e-3 * np.percentile(energy, 98)].mean()
    return samples * 32768 * 10 ** (dbfs / 20) / np.sqrt(active)


def frame_energy(samples, size):
    return (samples[: len(samples) // size * size].reshape(-1, size) ** 2).mean(1)


def runs(flags):
    """Starts and ends of the true runs."""
    edges = np.diff(np.concatenate([[0], flags.astype(int), [0]]))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def phrases(clip):
    """Cuts a clip at gaps of 200 ms and more."""
    energy = np.sqrt(frame_energy(clip, 80))
    active = signal.medfilt((energy > 0.02 * np.percentile(energy, 98)).astype(float), 9) > 0
    starts, ends = runs(active)
    out, begin = [], None
    for i, (start, end) in enumerate(zip(starts, ends, strict=False)):
        begin = start if begin is None else begin
        if i + 1 == len(starts) or starts[i + 1] - end >= 20:
            out.append(clip[max(0, begin * 80 - 400) : end * 80 + 400])
            begin = None
    return out


def conversation(clips, seconds, rng, spread_db=0.0, lead=RATE, stretch=1):
    """Phrases of one speaker, set apart by pauses that may be stretched, in the telephone band."""
    parts, length = [np.zeros(lead)], lead
    while length < seconds * RATE:
        for phrase in phrases(clips[rng.integers(len(clips))]):
            gain = 10 ** (rng.uniform(-spread_db, spread_db) / 20)
            pause = np.zeros(int(RATE * rng.uniform(0.6, 2.5) * stretch))
            parts += [phrase * gain, pause]
            length += len(phrase) + len(pause)
    return signal.sosfilt(BAND, np.concatenate(parts)[: int(seconds * RATE)])


def labels(speech):
    """Per 10 ms: whether it is speech, whether it is judged; and where speech begins."""
    level = 10 * np.log10(frame_energy(speech, 80) + 1e-9)
    active = signal.medfilt((level > np.percentile(level, 97) - 32).astype(float), 5) > 0
    starts, ends = runs(active)
    for end, start in zip(ends, starts[1:], strict=False):
        if start - end < 15:
            active[end:start] = True
    starts, ends = runs(active)
    for start, end in zip(starts, ends, strict=False):
        if end - start < 6:
            active[start:end] = False
    starts, ends = runs(active)
    judged = np.ones(len(active), bool)
    for edge in (*starts, *ends):
        judged[max(0, edge - 5) : edge + 5] = False
    return active, judged, starts


def shaped(samples, rng, exponent):
    """Noise whose amplitude falls with frequency to the power of `exponent`."""
    frequency = np.fft.rfftfreq(samples, 1 / RATE)
    return np.fft.irfft(np.fft.rfft(rng.normal(size=samples)) / np.maximum(frequency, 60) ** exponent, samples)


def wander(samples, rng, low, high, period):
    """A gain that wanders between `low` and `high`, with a new goal every `period` samples."""
    grid = np.arange(0, samples + period, period)
    return np.interp(np.arange(samples), grid, rng.uniform(low, high, len(grid)))


def babble(samples, clips, rng, voices):
    """Several voices at once, from all speakers."""
    speakers, total = sorted(clips), np.zeros(samples)
    for voice in range(voices):
        own, parts, length = clips[speakers[voice % len(speakers)]], [], 0
        while length < samples + RATE:
            clip, gap = own[rng.integers(len(own))], np.zeros(int(RATE * rng.uniform(0.25, 0.7)))
            parts += [clip, gap]
            length += len(clip) + len(gap)
        joined = np.concatenate(parts)
        offset = rng.integers(0, len(joined) - samples)
        total += joined[offset : offset + samples]
    return total


def noise(kind, samples, clips, rng):
    """The noises that are judged."""
    if kind == "white":
        return rng.normal(size=samples)
    if kind == "street":
        return shaped(samples, rng, 0.6) * wander(samples, rng, 0.5, 1.5, 2 * RATE)
    if kind == "babble":
        return babble(samples, clips, rng, 8)
    raise ValueError(kind)


def mix(speech, active, background, snr_db):
    """Adds noise at a ratio to the active speech, or a bare line's hiss if there is none, and goes through mu-law."""
    if background is None:
        return ulaw_round_trip(speech + np.random.default_rng(5).normal(0, 3, len(speech)))
    power = (speech[: len(active) * 80][np.repeat(active, 80)] ** 2).mean()
    gain = np.sqrt(power / (background**2).mean()) * 10 ** (-snr_db / 20)
    return ulaw_round_trip(speech + gain * background)


def ulaw_round_trip(samples):
    """G.711 mu-law there and back."""
    rounded = np.clip(np.round(samples), -32635, 32635).astype(np.int32)
    biased = np.abs(rounded) + 132
    step = 1 << (np.frexp(biased.astype(float))[1] - 5)
    return (np.sign(rounded) * (biased // step * step + step // 2 - 132)).astype(np.int16)


def upsample(samples):
    return np.clip(
        np.round(signal.resample_poly(samples.astype(float), 2, 1, window=("kaiser", 9))), -32768, 32767
    ).astype(np.int16)


def scorer():
    """Builds the program that runs the detectors and returns its path."""
    command = ["cargo", "bench", "-q", "-j2", "--bench", "vad_scores", "--", "--where"]
    return subprocess.check_output(command, cwd=ROOT, text=True).strip()


def run_scorer(program, mode, samples, columns):
    """Runs one detector over samples; returns its rows."""
    with tempfile.NamedTemporaryFile(suffix=".raw") as file:
        samples.tofile(file.name)
        return np.frombuffer(subprocess.check_output([program, *mode.split(), file.name]), np.float32).reshape(
            -1, columns
        )


def at_labels(values, step_ms, count):
    """The value of the step that covers each 10 ms label, and the one known at the label's end."""
    time = np.arange(count) * 10
    covering = values[np.minimum((time / step_ms).astype(int), len(values) - 1)]
    known = ((time + 10) / step_ms).astype(int) - 1
    return covering, np.where(known < 0, 0, values[np.clip(known, 0, len(values) - 1)])


def area(speech, rest):
    ranks = stats.rankdata(np.concatenate([speech, rest]))[: len(speech)].sum()
    return (ranks - len(speech) * (len(speech) + 1) / 2) / (len(speech) * len(rest))


def judge(clips, program, seconds, seed, only=None):
    """Prints the table; returns {detector: mean row over noisy conditions}; `only` one speaker talks, all babble."""
    rng = np.random.default_rng(seed)
    talks = {
        speaker: conversation(clips[speaker], seconds, rng) for speaker in sorted(clips) if only in (None, speaker)
    }
    marks = {speaker: labels(talk) for speaker, talk in talks.items()}
    share = np.mean(np.concatenate([active for active, _, _ in marks.values()]))
    onsets = sum(len(starts) for _, _, starts in marks.values())
    print(f"{len(talks)} speakers, {seconds * len(talks)} s, {share:.0%} speech, {onsets} onsets, seed {seed}")
    head = "AUC    hits@1%FA  miss  false   verdict p50/p90  gate p50/p90 (ms)  false onsets/min"
    print(f"{'condition':12} {'detector':9} {head}")
    table = {}
    for kind, snr in [("clean", None), *((kind, snr) for kind in NOISES for snr in SNRS)]:
        pool = {detector: [] for detector in ("talkpath", "second", "silero", "earshot")}
        for speaker, talk in talks.items():
            active, judged, starts = marks[speaker]
            background = noise(kind, len(talk), clips, rng) if snr is not None else None
            heard = mix(talk, active, background, snr)
            for detector in ("talkpath", "second"):
                own = run_scorer(program, f"{detector} 8000", heard, 3)
                score, known = at_labels(own[:, 0], 20, len(active))
                flag, flag_known = at_labels(own[:, 1], 20, len(active))
                edges = at_labels(own[:, 2], 20, len(active))[1]
                pool[detector].append((score, flag > 0, flag_known > 0, edges > 0, active, judged, starts))
            wide = upsample(heard)
            for detector, step_ms in (("silero", 32), ("earshot", 16)):
                peer = run_scorer(program, detector, wide, 1)[:, 0]
                score, known = at_labels(peer, step_ms, len(active))
                pool[detector].append((score, score > 0.5, known > 0.5, None, active, judged, starts))
        for detector, parts in pool.items():
            row = measure(parts)
            table.setdefault(detector, {})[kind, snr] = row
            print_row(f"{kind} {'' if snr is None else snr}", detector, row)
    means = {}
    for detector, rows in table.items():
        means[detector] = np.mean([row for (_, snr), row in rows.items() if snr is not None], axis=0)
        print_row("mean noisy", detector, means[detector])
    judge_alone(clips, program, seconds, rng)
    return means


def judge_alone(clips, program, seconds, rng):
    """Prints how much of a call without any speech is taken for speech."""
    for kind in NOISES:
        false = {detector: [] for detector in ("talkpath", "second", "silero", "earshot")}
        for dbfs in (-50, -35, -20):
            background = noise(kind, seconds * RATE, clips, rng)
            heard = ulaw_round_trip(background / background.std() * 32768 * 10 ** (dbfs / 20))
            for detector in ("talkpath", "second"):
                false[detector].append(run_scorer(program, f"{detector} 8000", heard, 3)[:, 1].mean())
            for detector in ("silero", "earshot"):
                false[detector].append((run_scorer(program, detector, upsample(heard), 1) > 0.5).mean())
        shares = ", ".join(f"{detector} {join(values)}" for detector, values in false.items())
        print(f"{kind} alone, false at -50/-35/-20 dBFS: {shares}", flush=True)


def join(shares):
    return " / ".join(f"{share:.1%}" for share in shares)


def measure(parts):
    def pick(index, want):
        return np.concatenate([part[index][part[5] & (part[4] == want)] for part in parts])

    speech, rest = pick(0, True), pick(0, False)
    bar = np.quantile(rest, 0.99)
    row = [area(speech, rest), (speech > bar).mean(), 1 - pick(1, True).mean(), pick(1, False).mean()]
    for index in (2, 3):
        delays = [
            delay for part in parts if part[index] is not None for delay in onset_delays(part[index], part[4], part[6])
        ]
        row += [np.percentile(delays, 50), np.percentile(delays, 90)] if delays else [np.nan, np.nan]
    return [*row, np.mean([false_onsets(part[3], part[4]) for part in parts]) if parts[0][3] is not None else np.nan]


def onset_delays(flags, active, starts):
    """Milliseconds from each beginning of speech after a real pause until the detector knows, at most 600."""
    for start in starts:
        if not active[max(0, start - 50) : start].any():
            hits = np.flatnonzero(flags[start : start + 60])
            yield hits[0] * 10 + 10 if len(hits) else 600


def false_onsets(state, active):
    """How often a minute without speech the gate goes into speech with none within 200 ms."""
    near = np.convolve(active, np.ones(41), "same") > 0
    return (runs(state)[0][:, None] == np.flatnonzero(~near)).sum() / max(1, (~near).sum()) * 6000


def print_row(condition, detector, row):
    area_, hits, miss, false, first50, first90, edge50, edge90, wrong = row
    edge = "" if np.isnan(edge50) else f"{edge50:8.0f} / {edge90:<6.0f} {wrong:14.1f}"
    print(
        f"{condition:12} {detector:9} {area_:.4f}  {hits:8.1%} {miss:6.1%} {false:6.1%}"
        f" {first50:7.0f} / {first90:<5.0f} {edge}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", help="folder of clips; all of them are judged")
    parser.add_argument("--seconds", type=int, default=70, help="length of a speaker's conversation")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    clips = load_clips(args.clips, None) if args.clips else load_clips(fetch_packages(), True)
    judge(clips, scorer(), args.seconds, args.seed)


if __name__ == "__main__":
    main()
