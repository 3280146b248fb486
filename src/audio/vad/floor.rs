//! Tracks the level of the background under speech.
//!
//! Every later decision is relative to the noise of this very call: a quiet office at −70 dBFS and a street at −30
//! dBFS must both read as "no speech". The floor falls at once and rises slowly, because speech always comes on top
//! of it.

/// The level of the background in dB, followed from a stream of levels.
///
/// It drops towards a lower level within a few steps and rises by [`NoiseFloor::RISE_DB_PER_S`], so that a sentence
/// lifts it by no more than a few dB while a new, louder background is learned within seconds.
#[derive(Clone, Debug)]
pub struct NoiseFloor {
    level: Option<f32>,
    rise: f32,
}

impl NoiseFloor {
    /// How fast the floor follows a background that has become louder.
    pub const RISE_DB_PER_S: f32 = 3.0;

    /// Makes a floor for levels that come `step_s` seconds apart.
    #[must_use]
    pub fn new(step_s: f32) -> Self {
        Self { level: None, rise: Self::RISE_DB_PER_S * step_s }
    }

    /// Takes the level of the next step and returns the floor; the first level is the first floor.
    pub fn update(&mut self, level_db: f32) -> f32 {
        let floor = match self.level {
            None => level_db,
            Some(floor) if level_db > floor => (floor + self.rise).min(level_db),
            Some(floor) => floor + FALL * (level_db - floor),
        };
        self.level = Some(floor);
        floor
    }

    /// Forgets the background.
    pub fn reset(&mut self) {
        self.level = None;
    }
}

/// The share of a drop that is followed in one step.
const FALL: f32 = 0.3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_at_once_and_rises_slowly() {
        let mut floor = NoiseFloor::new(0.02);
        assert_eq!(floor.update(-30.0), -30.0);
        for _ in 0..20 {
            floor.update(-70.0);
        }
        assert!(floor.update(-70.0) < -69.9);
        for _ in 0..50 {
            floor.update(-20.0);
        }
        let after_a_second = floor.update(-20.0);
        assert!((-67.5..=-66.0).contains(&after_a_second), "{after_a_second}");
    }
}
