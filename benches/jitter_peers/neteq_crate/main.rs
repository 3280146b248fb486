//! The `neteq` crate behind the protocol of `benches/jitter_pipe.rs`, as its documentation says it is used.

use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};

use neteq::codec::AudioDecoder;
use neteq::{AudioPacket, NetEq, NetEqConfig, RtpHeader};

const PAYLOAD_TYPE: u8 = 0;

struct Ulaw {
    rate: u32,
}

impl AudioDecoder for Ulaw {
    fn sample_rate(&self) -> u32 {
        self.rate
    }

    fn channels(&self) -> u8 {
        1
    }

    fn decode(&mut self, encoded: &[u8]) -> neteq::Result<Vec<f32>> {
        Ok(encoded.iter().map(|&byte| f32::from(decode(byte)) / 32_768.0).collect())
    }
}

fn main() -> io::Result<()> {
    let mut input = BufReader::new(io::stdin().lock());
    let mut output = BufWriter::new(io::stdout().lock());
    let header: [u8; 16] = take(&mut input)?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let (rate, frame) = (word(4), word(8));
    if &header[..4] != b"JBT1" || frame != rate / 100 || word(12) != 0 {
        return Err(invalid("header is not one of JBT1, 10 ms, codec 0"));
    }
    let mut buffer = NetEq::new(NetEqConfig { sample_rate: rate, ..NetEqConfig::default() }).map_err(invalid)?;
    buffer.register_decoder(PAYLOAD_TYPE, Box::new(Ulaw { rate }));
    loop {
        match take::<1>(&mut input)? {
            [b'P'] => {
                move_clock(&mut input)?;
                let sequence = u16::from_le_bytes(take(&mut input)?);
                let timestamp = u32::from_le_bytes(take(&mut input)?);
                let mut payload = vec![0; usize::from(u16::from_le_bytes(take(&mut input)?))];
                input.read_exact(&mut payload)?;
                let duration_ms = payload.len() as u32 * 1_000 / rate;
                let header = RtpHeader::new(sequence, timestamp, 1, PAYLOAD_TYPE, false);
                // What it refuses, such as a packet that came twice, is lost.
                let _ = buffer.insert_packet(AudioPacket::new(header, payload, rate, 1, duration_ms));
            }
            [b'G'] => {
                move_clock(&mut input)?;
                let mut samples = buffer.get_audio().map(|audio| audio.samples).unwrap_or_default();
                samples.resize(frame as usize, 0.0);
                for sample in samples {
                    output.write_all(&((sample * 32_768.0).round() as i16).to_le_bytes())?;
                }
                output.flush()?;
            }
            [b'E'] => {
                output.write_all(&2_u32.to_le_bytes())?;
                output.write_all(b"{}")?;
                return output.flush();
            }
            [other] => return Err(invalid(format!("message {other:#04x}, wanted P, G or E"))),
        }
    }
}

fn take<const LEN: usize>(input: &mut impl Read) -> io::Result<[u8; LEN]> {
    let mut bytes = [0; LEN];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn move_clock(input: &mut impl Read) -> io::Result<()> {
    web_time::move_to((f64::from_le_bytes(take(input)?) * 1_000.0) as u64);
    Ok(())
}

fn decode(byte: u8) -> i16 {
    let bits = !byte;
    let size = (((i16::from(bits & 15) << 3) + 132) << (bits >> 4 & 7)) - 132;
    if bits & 128 == 0 { size } else { -size }
}

fn invalid(error: impl ToString) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error.to_string())
}
