"""CPython's `audioop`, which Python 3.13 removed: the same 26 functions and `error`, with the same answers.

`from talkpath import audioop` is all of the migration. Widths 1 to 4, bit for bit as in CPython 3.12. It is here for
code that exists already: `ratecv` still interpolates linearly and lets aliases through; `talkpath.Resampler` does not.
"""

from talkpath import _talkpath
from talkpath.errors import AudioopError

error = AudioopError
add = _talkpath.audioop_add
adpcm2lin = _talkpath.audioop_adpcm2lin
alaw2lin = _talkpath.audioop_alaw2lin
avg = _talkpath.audioop_avg
avgpp = _talkpath.audioop_avgpp
bias = _talkpath.audioop_bias
byteswap = _talkpath.audioop_byteswap
cross = _talkpath.audioop_cross
findfactor = _talkpath.audioop_findfactor
findfit = _talkpath.audioop_findfit
findmax = _talkpath.audioop_findmax
getsample = _talkpath.audioop_getsample
lin2adpcm = _talkpath.audioop_lin2adpcm
lin2alaw = _talkpath.audioop_lin2alaw
lin2lin = _talkpath.audioop_lin2lin
lin2ulaw = _talkpath.audioop_lin2ulaw
max = _talkpath.audioop_max  # noqa: A001 (the module promises this name)
maxpp = _talkpath.audioop_maxpp
minmax = _talkpath.audioop_minmax
mul = _talkpath.audioop_mul
ratecv = _talkpath.audioop_ratecv
reverse = _talkpath.audioop_reverse
rms = _talkpath.audioop_rms
tomono = _talkpath.audioop_tomono
tostereo = _talkpath.audioop_tostereo
ulaw2lin = _talkpath.audioop_ulaw2lin

__all__ = [
    "add",
    "adpcm2lin",
    "alaw2lin",
    "avg",
    "avgpp",
    "bias",
    "byteswap",
    "cross",
    "error",
    "findfactor",
    "findfit",
    "findmax",
    "getsample",
    "lin2adpcm",
    "lin2alaw",
    "lin2lin",
    "lin2ulaw",
    "max",
    "maxpp",
    "minmax",
    "mul",
    "ratecv",
    "reverse",
    "rms",
    "tomono",
    "tostereo",
    "ulaw2lin",
]
