"""Takes Silero VAD's 16 kHz weights out of its Python package and writes them as talkpath carries them.

    python benches/silero_weights.py             # downloads silero-vad 6.2.3 (MIT) and writes weights.f32
    python benches/silero_weights.py --vectors   # also writes what onnxruntime says, for the test of the network

Needs numpy, onnx and pip; with --vectors onnxruntime too. The weights are those of the package's ONNX files; its
safetensors hold older ones. The file holds 32-bit floats, little-endian, layer after layer, weights (outputs x inputs)
before biases. Left out is what costs and says nothing: the spectrum's matrix (a Hann-windowed Fourier transform, which
we compute), the taps of the last two convolutions that only ever see padding, and one of the two biases of the
recurrent cell, which are summed.
"""

import argparse
import glob
import os
import subprocess
import sys
import tempfile
import zipfile

import numpy as np

VERSION = "6.2.3"
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WEIGHTS = os.path.join(ROOT, "src/audio/vad/silero/weights.f32")
VECTORS = os.path.join(ROOT, "tests/vectors/silero.txt")
SPEECH = os.path.join(ROOT, "python/talkpath/data/interruption.wav")
WINDOW, CONTEXT = 512, 64


def unpack(folder):
    """Downloads the package, and nothing that it depends on; returns the folder of its models."""
    pip = [sys.executable, "-m", "pip", "-q", "download", "--no-deps", "-d", folder, f"silero-vad=={VERSION}"]
    subprocess.check_call(pip)
    (wheel,) = glob.glob(os.path.join(folder, "silero_vad-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return os.path.join(folder, "silero_vad", "data")


def read_weights(path):
    """Reads {name: array} from a model whose names begin with `model.`."""
    import onnx.numpy_helper

    constants = onnx.load(path).graph.initializer
    return {constant.name.removeprefix("model."): onnx.numpy_helper.to_array(constant) for constant in constants}


def layers(tensors):
    """Yields (weights, biases) of each layer, weights as outputs x inputs; a convolution's taps lie side by side."""
    basis, size = tensors["stft.forward_basis_buffer"][:, 0], 256
    turns = 2 * np.pi * np.outer(np.arange(129), np.arange(size)) / size
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    wanted = np.concatenate([np.cos(turns) * window, -np.sin(turns) * window])
    assert np.abs(basis - wanted).max() < 1e-6, "the spectrum is no Hann-windowed Fourier transform"
    for number, taps in enumerate((slice(0, 3), slice(0, 3), slice(1, 3), slice(1, 2))):
        name = f"encoder.{number}.reparam_conv"
        weights = tensors[f"{name}.weight"][:, :, taps]
        yield weights.reshape(len(weights), -1), tensors[f"{name}.bias"]
    cell = [tensors[f"decoder.rnn.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    yield np.concatenate(cell[:2], 1), cell[2] + cell[3]
    yield tensors["decoder.decoder.2.weight"].reshape(1, -1), tensors["decoder.decoder.2.bias"]


def write_vectors(models):
    """Writes, a window a line, what onnxruntime's Silero says of packaged speech upsampled by repetition."""
    import wave

    import onnxruntime

    with wave.open(SPEECH) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").repeat(2)
    session = onnxruntime.InferenceSession(os.path.join(models, "silero_vad.onnx"))
    state, context = np.zeros((2, 1, 128), np.float32), np.zeros(CONTEXT, np.float32)
    lines = [f"# silero-vad {VERSION} under onnxruntime: interruption.wav, each sample twice, in windows of {WINDOW}"]
    for begin in range(0, len(samples) - WINDOW + 1, WINDOW):
        heard = np.concatenate([context, samples[begin : begin + WINDOW].astype(np.float32) / 32768])
        inputs = {"input": heard[None], "state": state, "sr": np.array(16000)}
        score, state = session.run(None, inputs)
        context = heard[-CONTEXT:]
        lines.append(f"{score[0, 0]:.6f}")
    with open(VECTORS, "w") as file:
        file.write("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", action="store_true", help="also write the vectors that the test holds us to")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        models = unpack(folder)
        tensors = read_weights(os.path.join(models, "silero_vad_16k_op15.onnx"))
        with open(WEIGHTS, "wb") as file:
            for pair in layers(tensors):
                for values in pair:
                    file.write(np.ascontiguousarray(values, "<f4").tobytes())
        if args.vectors:
            write_vectors(models)


if __name__ == "__main__":
    main()
