"""Fits the small networks of the voice activity detectors and writes their weights.

    python benches/vad_train.py                 # fits on the training prompts of all speakers and writes the weights
    python benches/vad_train.py --leave-out     # each speaker in turn is left out and judged; writes nothing
    python benches/vad_train.py --stage second  # the judge over both stages instead, after the first is made

The prompts kept for judging (see vad_corpus.py) are never seen. Beside the judged kinds of noise, the training set has
cars, fans, tones, sudden changes of noise, quiet and loud callers, and calls that begin in the middle of a word.
"""

import argparse
import itertools
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import vad_corpus as corpus

RATE = corpus.RATE
STAGES = {
    "talkpath": {
        "see": "features",
        "shape": (45, 32, 16, 1),
        "inputs": "FEATURES",
        "use": "super::features::FEATURES",
        "weights": os.path.join(corpus.ROOT, "src/audio/vad/weights.rs"),
        "title": "The weights of the small network in `model`",
    },
    "second": {
        "see": "opinions",
        "shape": (14, 16, 8, 1),
        "inputs": "OPINIONS",
        "use": "super::OPINIONS",
        "weights": os.path.join(corpus.ROOT, "src/audio/vad/silero/judge_weights.rs"),
        "title": "The weights of the judge over both stages",
    },
}
KINDS = ("white", "street", "babble", "clean", "babble", "car", "fan", "tones", "step", "street", "babble", "white")


def background(kind, samples, clips, rng):
    """The noises of the judge and some that it does not know."""
    if kind == "clean":
        return None
    if kind == "street":
        period = int(rng.integers(RATE // 2, 2 * RATE + 1))
        return corpus.shaped(samples, rng, rng.uniform(0.3, 0.8)) * corpus.wander(samples, rng, 0.3, 1.7, period)
    if kind == "car":
        return corpus.shaped(samples, rng, rng.uniform(0.8, 1.5)) * corpus.wander(samples, rng, 0.8, 1.2, RATE)
    if kind == "fan":
        total, time, pitch = (
            corpus.shaped(samples, rng, rng.uniform(0, 0.5)),
            np.arange(samples) / RATE,
            rng.uniform(80, 400),
        )
        deviation = total.std()
        for harmonic in range(1, 8):
            phase = rng.uniform(0, 2 * np.pi)
            total += deviation * rng.uniform(0, 0.5) * np.sin(2 * np.pi * pitch * harmonic * time + phase)
        return total
    if kind == "tones":
        return tones(samples, rng)
    if kind == "babble":
        return corpus.babble(samples, clips, rng, int(rng.integers(6, 12)))
    if kind == "step":
        total = background(rng.choice(["white", "street", "car", "babble"]), samples, clips, rng)
        start = 0
        while start < samples:
            end = start + int(rng.integers(5 * RATE, 15 * RATE))
            total[start:end] *= 10 ** (rng.uniform(-25, 0) / 20)
            start = end
        return total
    return corpus.noise(kind, samples, clips, rng)


def tones(samples, rng):
    """Key presses and progress tones over a little hiss."""
    total, start = rng.normal(scale=0.01, size=samples), RATE
    while start < samples:
        length = int(RATE * rng.choice([0.1, 0.2, 0.5, 1.0]))
        time = np.arange(length) / RATE
        for pitch in rng.choice([350, 425, 440, 480, 697, 770, 852, 941, 1209, 1336, 1477, 1633], 2, replace=False):
            total[start : start + length] += np.sin(2 * np.pi * pitch * time)[: max(0, samples - start)]
        start += length + int(RATE * rng.uniform(0.05, 3))
    return total


def sessions(clips, every, count, rng):
    """Makes `count` calls of a minute by one speaker: (samples, and per step of 16 ms label and weight)."""
    for number in range(count):
        # Noise must stay noise when nobody speaks for long, or at all; and a call may begin within a word.
        lead, stretch = int(rng.choice([0, RATE // 4, RATE])), rng.choice([1, 1, 1, 1, 6])
        speech = corpus.conversation(clips, 60, rng, spread_db=4, lead=lead, stretch=stretch)
        speech = speech[int(rng.uniform(0, 0.6) * RATE) * (lead == 0) :]
        active, judged, starts = corpus.labels(speech)
        # A missed word is worse than a false one. Edges are not judged, but some weight on them makes onsets quick.
        weight = np.where(judged, np.where(active, 1.5, 1.0), 0.15)
        for start in starts:
            weight[start : start + 5] = 0.5
        kind, alone = KINDS[number % len(KINDS)], rng.random() < 0.12
        ratio = rng.uniform(-2, 8) if kind == "step" else rng.uniform(-2, 14)
        gain = 10 ** (rng.uniform(-15, 7) / 20)
        noise = background(kind, len(speech), every, rng)
        if noise is None:
            heard = corpus.ulaw_round_trip(gain * (speech + rng.normal(0, rng.choice([0, 3, 12]), len(speech))))
        elif alone:
            heard = corpus.ulaw_round_trip(noise / noise.std() * 32768 * 10 ** (rng.uniform(-65, -12) / 20))
            active, weight = np.zeros_like(active), np.ones_like(weight)
        else:
            heard = corpus.mix(gain * speech, active, noise, ratio)
        step = np.minimum(np.arange(len(heard) // 128) * 1.6 + 0.8, len(active) - 1).astype(int)
        yield heard, active[step], weight[step]


def collect(program, stage, clips, count, seed):
    """The training set of each speaker: {speaker: (features, labels, weights)}."""

    def one(item):
        number, speaker = item
        rows = [
            (corpus.run_scorer(program, stage["see"], samples, stage["shape"][0]), labels, weights)
            for samples, labels, weights in sessions(
                clips[speaker], clips, count, np.random.default_rng([seed, number])
            )
        ]
        inputs, labels, weights = (np.concatenate(column) for column in zip(*rows, strict=False))
        heard = ~np.isnan(inputs[:, 0])
        return speaker, (inputs[heard], labels[heard], weights[heard])

    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(one, enumerate(sorted(clips))))


def fit(shape, inputs, labels, weights, epochs, seed):
    """Adam on the weighted cross-entropy; returns [(matrix, bias)] of three layers."""
    rng = np.random.default_rng(seed)
    params = []
    for rows, columns in itertools.pairwise(shape):
        params += [rng.normal(0, np.sqrt(2 / rows), (rows, columns)), np.zeros(columns)]
    params = [value.astype(np.float32) for value in params]
    first, second = [np.zeros_like(p) for p in params], [np.zeros_like(p) for p in params]
    labels, weights = labels.astype(np.float32), weights.astype(np.float32)
    tick, batch, total = 0, 512, epochs * (len(inputs) // 512)
    for _ in range(epochs):
        order = rng.permutation(len(inputs))
        for start in range(0, len(order) - batch + 1, batch):
            tick += 1
            pick = order[start : start + batch]
            gradients = gradient(params, inputs[pick], labels[pick], weights[pick])
            rate = 3e-3 * 0.5 * (1 + np.cos(np.pi * tick / total))
            for i, g in enumerate(gradients):
                g = g + 1e-5 * params[i]
                first[i] += 0.1 * (g - first[i])
                second[i] += 0.001 * (g * g - second[i])
                step = first[i] / (1 - 0.9**tick) / (np.sqrt(second[i] / (1 - 0.999**tick)) + 1e-8)
                params[i] -= np.float32(rate) * step
    return params


def gradient(params, x, labels, weights):
    w1, b1, w2, b2, w3, b3 = params
    h1 = np.maximum(x @ w1 + b1, 0)
    h2 = np.maximum(h1 @ w2 + b2, 0)
    odds = np.clip((h2 @ w3 + b3)[:, 0], -30, 30)
    error = ((1 / (1 + np.exp(-odds)) - labels) * weights / len(x))[:, None]
    back2 = (error @ w3.T) * (h2 > 0)
    back1 = (back2 @ w2.T) * (h1 > 0)
    return [x.T @ back1, back1.sum(0), h1.T @ back2, back2.sum(0), h2.T @ error, error.sum(0)]


def write_weights(stage, params):
    """Writes the Rust tables."""

    def number(value):
        return f"{value:.5}" if "e" in f"{value:.5}" or "." in f"{value:.5}" else f"{value:.1f}"

    def row(values):
        return "[" + ", ".join(number(float(v)) for v in values) + "]"

    lines = [
        f"//! {stage['title']}: written by `benches/vad_train.py`, not by hand.",
        "",
        f"use {stage['use']};",
        "",
    ]
    shape = stage["shape"]
    w1, b1, w2, b2, w3, b3 = params
    for name, kind, values in (
        ("INPUT", f"[[f32; {shape[1]}]; {stage['inputs']}]", w1),
        ("INPUT_BIAS", f"[f32; {shape[1]}]", b1),
        ("HIDDEN", f"[[f32; {shape[2]}]; {shape[1]}]", w2),
        ("HIDDEN_BIAS", f"[f32; {shape[2]}]", b2),
        ("OUTPUT", f"[f32; {shape[2]}]", w3[:, 0]),
    ):
        body = row(values) if values.ndim == 1 else "[" + ", ".join(row(v) for v in values) + "]"
        lines += ["#[rustfmt::skip]", f"pub(super) static {name}: {kind} = {body};".replace("], [", "],\n    [")]
    lines.append(f"pub(super) const OUTPUT_BIAS: f32 = {number(float(b3[0]))};")
    with open(stage["weights"], "w") as file:
        file.write("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", choices=STAGES, default="talkpath", help="`second`: the judge over both stages")
    parser.add_argument("--leave-out", action="store_true", help="cross-validate over speakers instead")
    parser.add_argument("--minutes", type=int, default=200, help="minutes of calls by each speaker")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    folder = corpus.fetch_packages()
    clips, program = corpus.load_clips(folder, False), corpus.scorer()
    stage = STAGES[args.stage]
    data = collect(program, stage, clips, args.minutes, args.seed)

    def make(speakers):
        rows = [np.concatenate([data[s][i] for s in speakers]) for i in range(3)]
        write_weights(stage, fit(stage["shape"], *rows, args.epochs, args.seed))

    if not args.leave_out:
        make(sorted(data))
        return
    judged, rows = corpus.load_clips(folder, True), []
    with open(stage["weights"]) as file:
        committed = file.read()
    try:
        for speaker in sorted(data):
            make([s for s in sorted(data) if s != speaker])
            print(f"without {speaker}")
            rows.append(corpus.judge(judged, corpus.scorer(), 70, args.seed, only=speaker)[args.stage])
    finally:
        with open(stage["weights"], "w") as file:
            file.write(committed)
    corpus.print_row("left out", args.stage, np.mean(rows, axis=0))


if __name__ == "__main__":
    main()
