//! A level is the exact RMS, peak and mean of its samples, at every length and up to full scale.

use proptest::prelude::*;
use talkpath::audio::level::Level;

/// The definition, sample by sample in `f64`.
fn naive(samples: &[i16]) -> Level {
    let count = samples.len() as f64;
    let energy: f64 = samples.iter().map(|&sample| f64::from(sample).powi(2)).sum();
    let sum: f64 = samples.iter().map(|&sample| f64::from(sample)).sum();
    Level {
        rms: (energy / count).sqrt() as f32,
        peak: samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or_default(),
        dc: (sum / count) as f32,
    }
}

proptest! {
    #[test]
    fn a_level_is_what_its_definition_says(samples in prop::collection::vec(any::<i16>(), 1..1_000)) {
        prop_assert_eq!(Level::measure(&samples), naive(&samples));
    }
}

#[test]
fn full_scale_does_not_overflow() {
    // Three and a bit of the blocks that sums are kept in.
    let samples = vec![i16::MIN; 100_001];
    let level = Level::measure(&samples);
    assert_eq!(level, Level { rms: 32_768.0, peak: 32_768, dc: -32_768.0 });
    assert_eq!((level.rms_dbfs(), level.peak_dbfs()), (0.0, 0.0));
    let loud = vec![i16::MAX; 100_001];
    assert_eq!(Level::measure(&loud), naive(&loud));
}

#[test]
fn silence_has_the_floor() {
    for samples in [&[][..], &[0; 160]] {
        let level = Level::measure(samples);
        assert_eq!(level, Level::default());
        assert_eq!((level.rms_dbfs(), level.peak_dbfs()), (Level::FLOOR_DBFS, Level::FLOOR_DBFS));
    }
    let mut click = [0; 8_000];
    click[17] = 1;
    assert_eq!(Level::measure(&click).rms_dbfs(), Level::FLOOR_DBFS, "quieter than the floor, and no lower");
    let floor = 20.0 * (1.0 / 65_536_f64).log10();
    assert!((f64::from(Level::FLOOR_DBFS) - floor).abs() < 1e-4);
}

#[test]
fn a_sine_lies_three_db_below_its_peak() {
    let samples: Vec<i16> =
        (0..8_000).map(|i| (16_384.0 * (f64::from(i) * std::f64::consts::TAU / 80.0).sin()).round() as i16).collect();
    let level = Level::measure(&samples);
    assert!((level.peak_dbfs() - -6.02).abs() < 0.01, "{level:?}");
    assert!((level.rms_dbfs() - -9.03).abs() < 0.01, "{level:?}");
    assert!(level.dc.abs() < 0.01, "{level:?}");
}

#[test]
fn an_offset_shows_as_dc() {
    let level = Level::measure(&[100, 300, 100, 300]);
    assert_eq!(level.dc, 200.0);
    assert_eq!(level.peak, 300);
}
