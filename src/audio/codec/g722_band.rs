//! G.722's two halves of the band: adaptive differential coding of one value at a time.
//!
//! A code is the difference between a value and what the [`Predictor`] expects it to be, in steps whose size the
//! [`Scale`] adapts. Encoder and decoder run the same adaptation on what the code says, so that they stay in step
//! without telling each other. The names in brackets are the recommendation's blocks (ITU-T G.722, section 6.2). Splitting
//! the band and putting it together again is `g722`'s business.

/// The lower half: 6 bits a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct LowBand {
    scale: Scale,
    predictor: Predictor,
}

impl LowBand {
    pub(super) const NEW: Self = Self { scale: Scale { log: 0, step: 32 }, predictor: Predictor::NEW };

    /// Codes a value of 15 bits (SUBTRA, QUANTL).
    #[inline(always)]
    pub(super) fn encode(&mut self, value: i16) -> u8 {
        // All thresholds hang on the previous values alone: the CPU has them before it knows what to compare.
        let mut thresholds = [0; 32];
        for (threshold, unscaled) in thresholds.iter_mut().zip(LOW_THRESHOLDS) {
            *threshold = ((u32::from(unscaled) * u32::from(self.scale.step as u16)) >> 16) as i16;
        }
        let error = saturate(i32::from(value) - self.predictor.expected);
        let size = magnitude(error) as i16;
        let passed: i16 = thresholds.iter().map(|&threshold| i16::from(size >= threshold)).sum();
        let code = LOW_CODES[usize::from(error < 0)][usize::from(passed as u16).min(29)];
        self.adapt(code);
        code
    }

    /// Reconstructs a value, of 15 bits, from the code in the low 6 bits (INVQBL, RECONS, LIMIT).
    #[inline(always)]
    pub(super) fn decode(&mut self, code: u8) -> i16 {
        let difference = self.scale.apply(LOW_LEVELS_6[usize::from(code & 0x3f)]);
        let value = limit_15_bits(self.predictor.expected + difference);
        self.adapt(code);
        value
    }

    /// Adapts to a code by its four upper bits, the only ones that every mode of G.722 has (INVQAL, LOGSCL, SCALEL).
    #[inline(always)]
    fn adapt(&mut self, code: u8) {
        let index = usize::from(code >> 2 & 15);
        let difference = self.scale.apply(LOW_LEVELS_4[index]);
        self.scale.adapt::<18_432>(LOW_LOG_STEPS[index], 64);
        self.predictor.update(difference);
    }
}

/// The upper half: 2 bits a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct HighBand {
    scale: Scale,
    predictor: Predictor,
}

impl HighBand {
    pub(super) const NEW: Self = Self { scale: Scale { log: 0, step: 8 }, predictor: Predictor::NEW };

    /// Codes a value of 15 bits (SUBTRA, QUANTH).
    #[inline(always)]
    pub(super) fn encode(&mut self, value: i16) -> u8 {
        let threshold = (HIGH_THRESHOLD * self.scale.step) >> 12;
        let error = saturate(i32::from(value) - self.predictor.expected);
        let code = u8::from(error >= 0) << 1 | u8::from(magnitude(error) < threshold);
        self.adapt(code);
        code
    }

    /// Reconstructs a value, of 15 bits, from the code in the low 2 bits (INVQAH, RECONS, LIMIT).
    #[inline(always)]
    pub(super) fn decode(&mut self, code: u8) -> i16 {
        let expected = self.predictor.expected;
        limit_15_bits(expected + self.adapt(code))
    }

    /// Adapts to a code and returns the difference that it stands for (INVQAH, LOGSCH, SCALEH).
    #[inline(always)]
    fn adapt(&mut self, code: u8) -> i32 {
        let index = usize::from(code & 3);
        let difference = self.scale.apply(HIGH_LEVELS[index]);
        self.scale.adapt::<22_528>(HIGH_LOG_STEPS[index], 0);
        self.predictor.update(difference);
        difference
    }
}

/// The size of a step: grows with large codes, shrinks with small ones.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// The logarithm (NB), with 11 bits after the point.
    log: i32,
    /// The step itself (DET): 8 to 16,384.
    step: i32,
}

impl Scale {
    /// Turns a level of the quantiser into a difference.
    #[inline(always)]
    fn apply(self, level: i16) -> i32 {
        (i32::from(level) * self.step) >> 15
    }

    /// Lets the logarithm leak and adds to it (LOGSC), then looks the step up (SCALE): `offset` steps above the first.
    #[inline(always)]
    fn adapt<const MAX_LOG: i32>(&mut self, log_step: i16, offset: usize) {
        self.log = (((self.log * 127) >> 7) + i32::from(log_step)).clamp(0, MAX_LOG);
        self.step = i32::from(STEPS[(self.log >> 6) as usize + offset]);
    }
}

/// Expects the next value from the latest ones: two poles, six zeroes, adapted by the signs of what came (block 4).
#[derive(Clone, Copy, Debug)]
struct Predictor {
    /// What the next value should be (S), and the zeroes' share of it (SZ).
    expected: i32,
    expected_by_zeroes: i32,
    /// Twice the latest reconstructed value (R), limited to 16 bits.
    latest_doubled: i32,
    /// The signs of the latest two partially reconstructed values (P): 0 or -1.
    signs: [i32; 2],
    /// The poles' coefficients (A), in units of 2^-14.
    poles: [i32; 2],
    /// The zeroes' coefficients (B), in units of 2^-14, and the latest differences (D), newest first. Two lanes more than
    /// needed make a vector of them; their coefficients stay 0.
    zeroes: [i16; LANES],
    differences: [i16; LANES],
}

impl Predictor {
    const NEW: Self = Self {
        expected: 0,
        expected_by_zeroes: 0,
        latest_doubled: 0,
        signs: [0; 2],
        poles: [0; 2],
        zeroes: [0; LANES],
        differences: [0; LANES],
    };

    /// Takes the difference that a code stood for, and expects the next value.
    #[inline(always)]
    fn update(&mut self, difference: i32) {
        // RECONS, PARREC. Signs are 0 or -1, to turn numbers round without a branch: they change as noise does.
        let doubled = saturate(2 * saturate(self.expected + difference));
        let sign = (self.expected_by_zeroes + difference) >> 31;
        let turned = self.signs.map(|past| past ^ sign);

        // UPPOL2, UPPOL1.
        let [pole_1, pole_2] = self.poles;
        let slope = turn(saturate(pole_1 << 2), !turned[0]).min(0x7fff) >> 7;
        let pole_2 = (slope + turn(128, turned[1]) + ((pole_2 * 32_512) >> 15)).clamp(-12_288, 12_288);
        let limit = 15_360 - pole_2;
        let pole_1 = (turn(192, turned[0]) + ((pole_1 * 32_640) >> 15)).max(-limit).min(limit);

        // UPZERO: each coefficient leaks by 1/256 of itself, rounded away from 0, and is pushed by the sign.
        let difference = difference as i16;
        let moves = -i16::from(difference != 0);
        for ((zero, past), push) in self.zeroes.iter_mut().zip(self.differences).zip(PUSHES) {
            let turned = (past ^ difference) >> 15;
            let leak = (*zero >> 8) + i16::from(*zero & 0xff != 0);
            *zero = (*zero - leak).saturating_add(((push ^ turned) - turned) & moves);
        }
        // DELAYA, FILTEZ.
        let [d1, d2, d3, d4, d5, d6, d7, _] = self.differences;
        self.differences = [difference, d1, d2, d3, d4, d5, d6, d7];
        let mut products = [0; LANES];
        for ((product, &zero), past) in products.iter_mut().zip(&self.zeroes).zip(self.differences) {
            *product = (i32::from(zero) * i32::from(past.saturating_add(past))) >> 15;
        }
        self.expected_by_zeroes = saturate(products.iter().sum());
        // FILTEP, PREDIC.
        let by_poles = saturate(((pole_1 * doubled) >> 15) + ((pole_2 * self.latest_doubled) >> 15));
        self.expected = saturate(by_poles + self.expected_by_zeroes);
        self.latest_doubled = doubled;
        self.signs = [sign, self.signs[0]];
        self.poles = [pole_1, pole_2];
    }
}

/// Negates `value` if `sign` is -1, and leaves it if it is 0.
#[inline(always)]
fn turn(value: i32, sign: i32) -> i32 {
    (value ^ sign) - sign
}

/// How far `error` is from 0, as the quantisers count: -1 is as near as 0.
#[inline(always)]
fn magnitude(error: i32) -> i32 {
    error ^ (error >> 31)
}

#[inline(always)]
fn saturate(value: i32) -> i32 {
    value.clamp(-0x8000, 0x7fff)
}

#[inline(always)]
fn limit_15_bits(value: i32) -> i16 {
    value.clamp(-0x4000, 0x3fff) as i16
}

/// Six zeroes, and two lanes more.
const LANES: usize = 8;

/// By how much the sign of a difference pushes each zero's coefficient.
const PUSHES: [i16; LANES] = [128, 128, 128, 128, 128, 128, 0, 0];

/// Where the lower band's quantiser changes from one code to the next (Q6), in units of 1/65,536 step. The last three
/// lie above, to fill the vector: who passes them has passed all the others.
const LOW_THRESHOLDS: [u16; 32] = {
    const Q6: [u16; 29] = [
        35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1_023, 1_121, 1_219,
        1_339, 1_458, 1_612, 1_765, 1_980, 2_195, 2_557, 2_919,
    ];
    let mut thresholds = [u16::MAX; 32];
    let mut i = 0;
    while i < Q6.len() {
        thresholds[i] = Q6[i] << 4;
        i += 1;
    }
    thresholds
};

/// The lower band's codes by how many thresholds a difference passed, for positive and negative ones (ILP, ILN).
const LOW_CODES: [[u8; 30]; 2] = [
    [
        61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34,
        33, 32,
    ],
    [63, 62, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4],
];

/// What the lower band's 6-bit codes stand for (QQ6 with its sign), in units of 2^-15 step.
const LOW_LEVELS_6: [i16; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192, -10_232, -9_360,
    -8_576, -7_856, -7_192, -6_576, -6_000, -5_456, -4_944, -4_464, -4_008, -3_576, -3_168, -2_776, -2_400, -2_032,
    -1_688, -1_360, -1_040, -728, 24_808, 21_904, 19_008, 16_704, 14_984, 13_512, 12_280, 11_192, 10_232, 9_360, 8_576,
    7_856, 7_192, 6_576, 6_000, 5_456, 4_944, 4_464, 4_008, 3_576, 3_168, 2_776, 2_400, 2_032, 1_688, 1_360, 1_040,
    728, 432, 136, -432, -136,
];

/// What their four upper bits stand for (QQ4 with its sign).
const LOW_LEVELS_4: [i16; 16] =
    [0, -20_456, -12_896, -8_968, -6_288, -4_240, -2_584, -1_200, 20_456, 12_896, 8_968, 6_288, 4_240, 2_584, 1_200, 0];

/// What those add to the logarithm of the step (WL of RL4).
const LOW_LOG_STEPS: [i16; 16] = [-60, 3_042, 1_198, 538, 334, 172, 58, -30, 3_042, 1_198, 538, 334, 172, 58, -30, -60];

/// Where the upper band's quantiser changes (Q2), in units of 1/4,096 step.
const HIGH_THRESHOLD: i32 = 564;

/// What the upper band's codes stand for (QQ2 with its sign), in units of 2^-15 step.
const HIGH_LEVELS: [i16; 4] = [-7_408, -1_616, 7_408, 1_616];

/// What those add to the logarithm of the step (WH of RH2).
const HIGH_LOG_STEPS: [i16; 4] = [798, -214, 798, -214];

/// The steps (DET) by the upper bits of their logarithm, of the upper band from 0 on (SCALEH), of the lower one, whose
/// steps are four times as large, from 64 on (SCALEL).
const STEPS: [i16; 353] = {
    /// The powers of 2 from 1 to 2, in 32 steps and units of 1/2,048 (ILB).
    const POWERS: [i32; 32] = [
        2_048, 2_093, 2_139, 2_186, 2_233, 2_282, 2_332, 2_383, 2_435, 2_489, 2_543, 2_599, 2_656, 2_714, 2_774, 2_834,
        2_896, 2_960, 3_025, 3_091, 3_158, 3_228, 3_298, 3_371, 3_444, 3_520, 3_597, 3_676, 3_756, 3_838, 3_922, 4_008,
    ];
    let mut steps = [0; 353];
    let mut i = 0;
    while i < steps.len() {
        steps[i] = (POWERS[i % 32] << 1 >> (11 - i / 32) << 2) as i16;
        i += 1;
    }
    steps
};
