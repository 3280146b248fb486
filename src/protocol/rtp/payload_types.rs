//! What the number in each packet stands for: the static types of RFC 3551, and those that are agreed for each call.
//!
//! Where nothing is agreed, as with Asterisk's externalMedia, both sides must know each other's numbers beforehand.
//! [`PayloadTypes::default`] is what Asterisk 22 takes and sends; [`with`](PayloadTypes::with) changes single numbers.

use std::fmt;
use std::str::FromStr;

use super::FIRST_DYNAMIC_PAYLOAD_TYPE;
use crate::audio::codec::{Codec, Encoding};
use crate::audio::frame::SampleRate;
use crate::{Error, Result};

/// What a payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Audio.
    Audio(Codec),
    /// The level of the background while the sender pauses (RFC 3389).
    ComfortNoise,
    /// Keys (RFC 4733), on the clock of the audio beside them.
    TelephoneEvent,
}

impl Format {
    /// Whether the far end cannot tell the two apart: the rate to which Opus is decoded is each side's own choice.
    pub(super) fn is_sent_as(self, other: Self) -> bool {
        matches!((self, other), (Self::Audio(Codec::Opus { .. }), Self::Audio(Codec::Opus { .. }))) || self == other
    }
}

/// The meanings of payload types, for one side of a call or both.
///
/// ```
/// use talkpath::protocol::rtp::{Format, PayloadTypes};
///
/// let types = PayloadTypes::default().with(96, "L16/24000".parse()?)?;
/// assert_eq!(types.format(118), Some("slin16".parse()?), "Asterisk's");
/// assert_eq!(types.format(96), Some("slin24".parse()?), "ours");
/// assert_eq!(types.number_of(Format::TelephoneEvent), Some(101));
/// # Ok::<(), talkpath::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadTypes {
    formats: [Option<Format>; 128],
    /// The dynamic numbers, a bit each, that are Asterisk's own habit and that nobody agreed upon.
    habitual: u128,
}

impl PayloadTypes {
    /// The static types of RFC 3551 for which talkpath has a codec, comfort noise among them, and nothing else.
    #[must_use]
    pub fn of_rfc_3551() -> Self {
        let mut formats = [None; 128];
        for (number, format) in (0_u8..).zip(&mut formats) {
            *format = StaticFormat::of(number).and_then(StaticFormat::format);
        }
        Self { formats, habitual: 0 }
    }

    /// Says what a number stands for, in place of what it stood for.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for a number beyond 127, and for 64 to 95, which with a
    /// marker look like RTCP (RFC 5761, section 4); and for audio with the low byte first, which RTP does not carry.
    pub fn with(mut self, number: u8, format: Format) -> Result<Self> {
        if matches!(number, 64..=95 | 128..) {
            return Err(Error::invalid(format!("payload type {number}, wanted 0 to 63 or 96 to 127")));
        }
        if let Format::Audio(Codec::Plain { encoding: Encoding::Slin, .. }) = format {
            return Err(Error::invalid(format!(
                "payload type {number} for slin, wanted slin_be: rtp sends the high byte first"
            )));
        }
        self.formats[usize::from(number)] = Some(format);
        self.habitual &= !(1 << number);
        Ok(self)
    }

    /// Takes a number's meaning away, so that packets of it are dropped.
    #[must_use]
    pub fn without(mut self, number: u8) -> Self {
        if let Some(format) = self.formats.get_mut(usize::from(number)) {
            *format = None;
        }
        self
    }

    /// What a number stands for.
    #[must_use]
    pub fn format(&self, number: u8) -> Option<Format> {
        self.formats.get(usize::from(number)).copied().flatten()
    }

    /// The number that stands for a format; the lowest, where there are several. Opus is the same at every rate.
    #[must_use]
    pub fn number_of(&self, format: Format) -> Option<u8> {
        self.iter().find(|(_, known)| known.is_sent_as(format)).map(|(number, _)| number)
    }

    /// The codec in which a far end that sends audio under this number is answered, unless something else is asked for.
    ///
    /// It is the same, with one exception. Asterisk's externalMedia sends linear audio of 12 kHz and more under numbers of
    /// its own, but since nobody agreed upon them it hears none of them: of ours, Asterisk 22 takes 0, 8, 9, 10 and 11 alone.
    /// Such a far end is answered in G.722, the widest that it takes. Where both sides did agree,
    /// [`with`](Self::with) says so.
    #[must_use]
    pub fn answer_to(&self, number: u8) -> Option<Codec> {
        match self.format(number)? {
            Format::Audio(Codec::Plain { encoding: Encoding::SlinBe, .. }) if self.habitual >> number & 1 == 1 => {
                Some(Codec::G722)
            }
            Format::Audio(codec) => Some(codec),
            Format::ComfortNoise | Format::TelephoneEvent => None,
        }
    }

    /// All numbers that stand for something, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (u8, Format)> + '_ {
        (0_u8..).zip(&self.formats).filter_map(|(number, format)| Some((number, (*format)?)))
    }
}

impl Default for PayloadTypes {
    /// Asterisk 22's numbers: the static ones, but 10 is signed linear at 8 kHz; 19 is comfort noise, too, 101
    /// telephone events, 107 Opus, 118 signed linear at 16 kHz, and 122 to 127 at 12, 24, 32, 44.1, 48 and 96 kHz. Opus is
    /// decoded to 24 kHz, all that speech synthesis has.
    ///
    /// Its 96, 192 kHz, is left out: to everybody else that is the first number to agree upon.
    fn default() -> Self {
        let mut types = Self::of_rfc_3551();
        types.formats[10] = Some(linear(8_000));
        types.formats[19] = Some(Format::ComfortNoise);
        types.formats[101] = Some(Format::TelephoneEvent);
        types.formats[107] = Codec::opus(SampleRate::HZ_24000).ok().map(Format::Audio);
        types.formats[118] = Some(linear(16_000));
        for (number, hz) in (122..).zip([12_000, 24_000, 32_000, 44_100, 48_000, 96_000]) {
            types.formats[number] = Some(linear(hz));
        }
        types.habitual = types
            .iter()
            .filter(|&(number, _)| number >= FIRST_DYNAMIC_PAYLOAD_TYPE)
            .fold(0, |bits, (number, _)| bits | 1 << number);
        types
    }
}

impl fmt::Display for Format {
    /// Writes the name that [`from_str`](Format::from_str) reads: SDP's, but for Opus at other rates than 48 kHz.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Audio(codec) => match codec {
                Codec::Plain { encoding: Encoding::Ulaw, rate } => write!(f, "PCMU/{}", rate.hz()),
                Codec::Plain { encoding: Encoding::Alaw, rate } => write!(f, "PCMA/{}", rate.hz()),
                Codec::Plain { rate, .. } => write!(f, "L16/{}", rate.hz()),
                Codec::G722 => f.write_str("G722/8000"),
                Codec::Opus { rate: SampleRate::HZ_48000 } => f.write_str("opus/48000/2"),
                Codec::Opus { rate } => write!(f, "opus{}", rate.hz() / 1_000),
            },
            Self::ComfortNoise => f.write_str("CN/8000"),
            Self::TelephoneEvent => f.write_str("telephone-event/8000"),
        }
    }
}

impl FromStr for Format {
    type Err = Error;

    /// Reads Asterisk's name of a format (`ulaw`, `alaw`, `g722`, `slin`, `slin12` to `slin192`) or SDP's (`PCMU/8000`,
    /// `L16/16000`, `G722/8000`, `opus/48000/2`), `telephone-event` or `cn`, in either case of letters. Opus is decoded to
    /// 48 kHz, unless it is called `opus8`, `opus12`, `opus16` or `opus24`.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) for any other name.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let wanted = "ulaw, alaw, g722, opus, slin16 and the like, L16/16000 and the like, cn or telephone-event";
            Error::invalid(format!("format {text:?}, wanted {wanted}"))
        };
        let lower = text.to_ascii_lowercase();
        let (name, clock) = lower.split_once('/').map_or((&*lower, None), |(name, clock)| (name, Some(clock)));
        if let Some(khz) = lower.strip_prefix("opus") {
            // Its clock and two channels are what SDP always says (RFC 7587, section 7).
            let khz = if matches!(khz, "" | "/48000" | "/48000/2") { "48" } else { khz };
            let hz = khz.parse::<u32>().map_err(|_| wrong())?.saturating_mul(1_000);
            let codec = SampleRate::new(hz).and_then(Codec::opus).map_err(|_| wrong())?;
            return Ok(Self::Audio(codec));
        }
        // One channel may be said, and nothing more.
        let clock = clock.map(|clock| clock.strip_suffix("/1").unwrap_or(clock).parse::<u32>());
        let clock = clock.transpose().map_err(|_| wrong())?;
        let plain = |encoding, hz| {
            let rate = SampleRate::new(hz).map_err(|_| wrong())?;
            Ok(Self::Audio(Codec::Plain { encoding, rate }))
        };
        match (name, clock) {
            ("ulaw" | "pcmu", hz) => plain(Encoding::Ulaw, hz.unwrap_or(8_000)),
            ("alaw" | "pcma", hz) => plain(Encoding::Alaw, hz.unwrap_or(8_000)),
            ("l16", Some(hz)) => plain(Encoding::SlinBe, hz),
            ("slin", None) => plain(Encoding::SlinBe, 8_000),
            ("slin44", None) => plain(Encoding::SlinBe, 44_100),
            ("g722", None | Some(8_000)) => Ok(Self::Audio(Codec::G722)),
            ("cn", None | Some(8_000)) => Ok(Self::ComfortNoise),
            ("telephone-event" | "dtmf", _) => Ok(Self::TelephoneEvent),
            (name, None) => {
                let khz = name.strip_prefix("slin").and_then(|khz| khz.parse::<u32>().ok()).ok_or_else(wrong)?;
                plain(Encoding::SlinBe, khz.saturating_mul(1_000))
            }
            _ => Err(wrong()),
        }
    }
}

/// What a static payload type stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticFormat {
    /// The encoding's name in SDP.
    pub name: &'static str,
    /// How many ticks of the timestamp there are in a second.
    pub clock_hz: u32,
    /// How many channels: 1 but for type 10.
    pub channels: u8,
}

impl StaticFormat {
    /// The format of a static audio payload type (RFC 3551, table 4); nothing for types that are unassigned, video, or
    /// agreed for each call.
    #[must_use]
    pub fn of(payload_type: u8) -> Option<Self> {
        let (name, clock_hz, channels) = match payload_type {
            0 => ("PCMU", 8_000, 1),
            3 => ("GSM", 8_000, 1),
            4 => ("G723", 8_000, 1),
            5 => ("DVI4", 8_000, 1),
            6 => ("DVI4", 16_000, 1),
            7 => ("LPC", 8_000, 1),
            8 => ("PCMA", 8_000, 1),
            9 => ("G722", 8_000, 1),
            10 => ("L16", 44_100, 2),
            11 => ("L16", 44_100, 1),
            12 => ("QCELP", 8_000, 1),
            13 => ("CN", 8_000, 1),
            14 => ("MPA", 90_000, 1),
            15 => ("G728", 8_000, 1),
            16 => ("DVI4", 11_025, 1),
            17 => ("DVI4", 22_050, 1),
            18 => ("G729", 8_000, 1),
            _ => return None,
        };
        Some(Self { name, clock_hz, channels })
    }

    /// The codec that talkpath has for it, if it has one.
    #[must_use]
    pub fn codec(self) -> Option<Codec> {
        match (self.name, self.channels) {
            ("PCMU", 1) => Some(Codec::PCMU),
            ("PCMA", 1) => Some(Codec::PCMA),
            ("G722", 1) => Some(Codec::G722),
            ("L16", 1) => {
                let rate = SampleRate::new(self.clock_hz).ok()?;
                Some(Codec::Plain { encoding: Encoding::SlinBe, rate })
            }
            _ => None,
        }
    }

    /// What of it talkpath understands: audio that it has a [`codec`](Self::codec) for, or comfort noise.
    #[must_use]
    pub fn format(self) -> Option<Format> {
        if self.name == "CN" { Some(Format::ComfortNoise) } else { self.codec().map(Format::Audio) }
    }
}

fn linear(hz: u32) -> Format {
    let rate = SampleRate::new(hz).unwrap_or(SampleRate::HZ_8000);
    Format::Audio(Codec::Plain { encoding: Encoding::SlinBe, rate })
}
