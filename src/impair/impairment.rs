//! How bad a network is, and how that is written: `loss=5%,burst=2,jitter=40ms,reorder=1%,dup=0.5%,seed=7`.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::time::Duration;

use crate::{Error, Result};

/// What a network does to packets; the default does nothing.
///
/// ```
/// use std::time::Duration;
/// use talkpath::impair::Impairment;
///
/// let impairment: Impairment = "loss=5%,burst=2,jitter=40ms,seed=7".parse()?;
/// assert_eq!((impairment.loss, impairment.jitter), (0.05, Duration::from_millis(40)));
/// assert_eq!(impairment.to_string(), "loss=5%,burst=2,jitter=40ms,seed=7");
/// # Ok::<(), talkpath::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Impairment {
    /// The share of packets that never arrive, 0 to 1.
    pub loss: f64,
    /// The mean number of packets lost in a row, by the model of Gilbert (1960); at least 1.
    ///
    /// Chance alone makes rows of 1 / (1 - loss): what is less than that means chance alone.
    pub burst: f64,
    /// How long 19 of 20 packets are held up at most; at most 10 s.
    ///
    /// The time is log-normal, with a median of a fifth of this; one packet in a thousand takes four times this. It
    /// changes within some 100 ms, and no packet overtakes another: those behind a late one come with it in a bunch. This
    /// is no RFC 3550 jitter, which is the mean change from packet to packet.
    pub jitter: Duration,
    /// The share of packets that one to three others overtake, 0 to 1.
    pub reorder: f64,
    /// The share of packets that arrive twice, 0 to 1.
    pub duplicate: f64,
    /// How much longer the sender's second is than the receiver's, in millionths; -10,000 to 10,000.
    pub drift_ppm: f64,
    /// How long every packet takes at least; at most 10 s.
    pub delay: Duration,
    /// What all chance comes from.
    pub seed: u64,
}

impl Default for Impairment {
    fn default() -> Self {
        Self {
            loss: 0.0,
            burst: 1.0,
            jitter: Duration::ZERO,
            reorder: 0.0,
            duplicate: 0.0,
            drift_ppm: 0.0,
            delay: Duration::ZERO,
            seed: 0,
        }
    }
}

impl Impairment {
    /// Checks that the values are in range.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument), naming what was got and what was wanted.
    pub fn validate(&self) -> Result<()> {
        for (name, share) in [("loss", self.loss), ("reorder", self.reorder), ("dup", self.duplicate)] {
            if !(0.0..=1.0).contains(&share) {
                return Err(Error::invalid(format!("{name} of {}%, wanted 0% to 100%", 100.0 * share)));
            }
        }
        if !(1.0..=LONGEST_BURST).contains(&self.burst) {
            return Err(Error::invalid(format!("burst of {}, wanted 1 to {LONGEST_BURST} packets", self.burst)));
        }
        for (name, time) in [("jitter", self.jitter), ("delay", self.delay)] {
            if time > LONGEST_TIME {
                return Err(Error::invalid(format!("{name} of {time:?}, wanted at most {LONGEST_TIME:?}")));
            }
        }
        if !(-LARGEST_DRIFT..=LARGEST_DRIFT).contains(&self.drift_ppm) {
            let wanted = format!("wanted -{LARGEST_DRIFT}ppm to {LARGEST_DRIFT}ppm");
            return Err(Error::invalid(format!("drift of {}ppm, {wanted}", self.drift_ppm)));
        }
        Ok(())
    }

    /// Whether all that it does is to take time: a stream that keeps order and loses nothing, such as TCP, can do that.
    #[must_use]
    pub fn only_delays(&self) -> bool {
        self.loss == 0.0 && self.reorder == 0.0 && self.duplicate == 0.0
    }
}

impl FromStr for Impairment {
    type Err = Error;

    /// Reads `NAME=VALUE` pairs with commas between them, in any order; what is left out does nothing.
    ///
    /// Shares are percentages (`loss=5%`, `reorder=1%`, `dup=0.5%`), times have a unit (`jitter=40ms`, `delay=0.2s`), and
    /// so has the drift (`drift=-100ppm`); `burst=2` and `seed=7` are plain numbers.
    fn from_str(text: &str) -> Result<Self> {
        let mut impairment = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((name, value)) = part.split_once('=') else {
                return Err(Error::invalid(format!("impairment {part:?}, wanted NAME=VALUE such as loss=5%")));
            };
            let (name, value) = (name.trim(), value.trim());
            if seen.contains(&name) {
                return Err(Error::invalid(format!("impairment {name} twice, wanted once")));
            }
            seen.push(name);
            match name {
                "loss" => impairment.loss = share(name, value)?,
                "burst" => impairment.burst = number(name, value, value, "packets in a row such as 2")?,
                "jitter" => impairment.jitter = time(name, value)?,
                "reorder" => impairment.reorder = share(name, value)?,
                "dup" => impairment.duplicate = share(name, value)?,
                "drift" => impairment.drift_ppm = drift(name, value)?,
                "delay" => impairment.delay = time(name, value)?,
                "seed" => {
                    impairment.seed = value.parse().map_err(|_| unread(name, value, "a whole number of at least 0"))?;
                }
                _ => {
                    let wanted = "wanted one of loss, burst, jitter, reorder, dup, drift, delay, seed";
                    return Err(Error::invalid(format!("impairment {name:?}, {wanted}")));
                }
            }
        }
        impairment.validate()?;
        Ok(impairment)
    }
}

impl Display for Impairment {
    /// Writes what [`from_str`](Self::from_str) reads, without what does nothing.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let default = Self::default();
        let millis = |time: Duration| time.as_micros() as f64 / 1e3;
        let percent = |share: f64| (share * 1e8).round() / 1e6;
        let mut parts = Vec::new();
        let mut add = |is_set: bool, part: String| parts.extend(is_set.then_some(part));
        add(self.loss > 0.0, format!("loss={}%", percent(self.loss)));
        add(self.burst != default.burst, format!("burst={}", self.burst));
        add(!self.jitter.is_zero(), format!("jitter={}ms", millis(self.jitter)));
        add(self.reorder > 0.0, format!("reorder={}%", percent(self.reorder)));
        add(self.duplicate > 0.0, format!("dup={}%", percent(self.duplicate)));
        add(self.drift_ppm != 0.0, format!("drift={}ppm", self.drift_ppm));
        add(!self.delay.is_zero(), format!("delay={}ms", millis(self.delay)));
        add(self.seed != 0, format!("seed={}", self.seed));
        f.write_str(&parts.join(","))
    }
}

fn share(name: &str, value: &str) -> Result<f64> {
    let wanted = "a percentage such as 5%";
    let digits = value.strip_suffix('%').ok_or_else(|| unread(name, value, wanted))?;
    Ok(number(name, value, digits, wanted)? / 100.0)
}

fn time(name: &str, value: &str) -> Result<Duration> {
    let wanted = "a time such as 40ms or 0.2s";
    let (digits, unit_s) = match value.strip_suffix("ms") {
        Some(digits) => (digits, 1e-3),
        None => (value.strip_suffix('s').ok_or_else(|| unread(name, value, wanted))?, 1.0),
    };
    let seconds = number(name, value, digits, wanted)? * unit_s;
    Duration::try_from_secs_f64(seconds).map_err(|_| unread(name, value, wanted))
}

fn drift(name: &str, value: &str) -> Result<f64> {
    let wanted = "millionths such as 100ppm";
    let digits = value.strip_suffix("ppm").ok_or_else(|| unread(name, value, wanted))?;
    number(name, value, digits, wanted)
}

fn number(name: &str, value: &str, digits: &str, wanted: &str) -> Result<f64> {
    let number = digits.trim().parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| unread(name, value, wanted))
}

fn unread(name: &str, value: &str, wanted: &str) -> Error {
    Error::invalid(format!("{name} of {value:?}, wanted {wanted}"))
}

const LONGEST_BURST: f64 = 1_000.0;
const LONGEST_TIME: Duration = Duration::from_secs(10);
const LARGEST_DRIFT: f64 = 10_000.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for text in [
            "",
            "loss=5%,burst=2,jitter=40ms,reorder=1%,dup=0.5%,seed=7",
            "loss=0.1%,drift=-100ppm,delay=1500ms,seed=18446744073709551615",
            "loss=33.3%,burst=2.5,jitter=0.25ms",
        ] {
            let impairment: Impairment = text.parse().unwrap();
            assert_eq!(impairment.to_string(), text);
        }
        let spaced: Impairment = " dup = 1 % , delay=0.2s,".parse().unwrap();
        assert_eq!(spaced.to_string(), "dup=1%,delay=200ms");
    }

    #[test]
    fn what_is_no_impairment_is_refused_with_what_was_wanted() {
        for (text, message) in [
            ("loss", r#"impairment "loss", wanted NAME=VALUE such as loss=5%"#),
            ("lag=3ms", r#"impairment "lag", wanted one of loss, burst, jitter, reorder, dup, drift, delay, seed"#),
            ("loss=1%,loss=2%", "impairment loss twice, wanted once"),
            ("loss=0.05", r#"loss of "0.05", wanted a percentage such as 5%"#),
            ("loss=nan%", r#"loss of "nan%", wanted a percentage such as 5%"#),
            ("loss=101%", "loss of 101%, wanted 0% to 100%"),
            ("dup=-1%", "dup of -1%, wanted 0% to 100%"),
            ("burst=0.5", "burst of 0.5, wanted 1 to 1000 packets"),
            ("burst=two", r#"burst of "two", wanted packets in a row such as 2"#),
            ("jitter=40", r#"jitter of "40", wanted a time such as 40ms or 0.2s"#),
            ("jitter=-4ms", r#"jitter of "-4ms", wanted a time such as 40ms or 0.2s"#),
            ("delay=11s", "delay of 11s, wanted at most 10s"),
            ("drift=5", r#"drift of "5", wanted millionths such as 100ppm"#),
            ("drift=20000ppm", "drift of 20000ppm, wanted -10000ppm to 10000ppm"),
            ("seed=-1", r#"seed of "-1", wanted a whole number of at least 0"#),
        ] {
            assert_eq!(text.parse::<Impairment>().unwrap_err().to_string(), message);
        }
    }
}
