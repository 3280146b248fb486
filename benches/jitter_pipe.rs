//! How does the jitter buffer sound, beside others, on the same packets? `benches/jitter_peers` asks it here.
//!
//! It reads packets and ticks from standard input and answers frames, in virtual time, so that any trace can be played
//! and any score computed by whoever runs it. Little endian throughout:
//!
//! - first `JBT1`, u32 rate in Hz, u32 samples a frame, u32 codec (0 mu-law, 1 16-bit linear, 2 G.722);
//! - `P`, f64 arrival in ms, u16 sequence, u32 timestamp, u16 length, the payload: a packet;
//! - `G`, f64 now in ms: answered by a frame of 16-bit samples;
//! - `E`: answered by u32 length and as many bytes of JSON, and the end.

use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};

use talkpath::Timestamp;
use talkpath::audio::codec::{Codec, Encoding};
use talkpath::audio::frame::SampleRate;
use talkpath::jitter::{Config, JitterBuffer, Packet};

fn main() -> io::Result<()> {
    let mut input = BufReader::new(io::stdin().lock());
    let mut output = BufWriter::new(io::stdout().lock());
    let header: [u8; 16] = take(&mut input)?;
    let word = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let rate = SampleRate::new(word(4)).map_err(invalid)?;
    let codec = match word(12) {
        0 => Codec::Plain { encoding: Encoding::Ulaw, rate },
        1 => Codec::Plain { encoding: Encoding::Slin, rate },
        2 => Codec::from_name("g722", rate).map_err(invalid)?,
        other => return Err(invalid(format!("codec {other}, wanted 0, 1 or 2"))),
    };
    if &header[..4] != b"JBT1" || word(8) as usize != rate.frame_len() {
        return Err(invalid("header is not one of JBT1 and 20 ms"));
    }
    let mut buffer = JitterBuffer::new(Config { codec, ..Config::default() }).map_err(invalid)?;
    let mut frame = vec![0; rate.frame_len()];
    loop {
        match take::<1>(&mut input)? {
            [b'P'] => {
                let arrival = time(&mut input)?;
                let sequence = u16::from_le_bytes(take(&mut input)?);
                let timestamp = u32::from_le_bytes(take(&mut input)?);
                let mut payload = vec![0; usize::from(u16::from_le_bytes(take(&mut input)?))];
                input.read_exact(&mut payload)?;
                let packet = Packet { ssrc: 1, sequence, timestamp, marker: false, payload: &payload };
                buffer.handle_packet(&packet, arrival);
            }
            [b'G'] => {
                let now = time(&mut input)?;
                buffer.poll_frame(now, &mut frame);
                frame.iter().try_for_each(|sample| output.write_all(&sample.to_le_bytes()))?;
                output.flush()?;
            }
            [b'E'] => {
                let stats = buffer.stats();
                let json = format!(
                    r#"{{"lost":{},"late":{},"concealed":{},"inserted":{},"removed":{},"discarded":{}}}"#,
                    stats.packets_lost,
                    stats.packets_late,
                    stats.samples_concealed,
                    stats.samples_inserted,
                    stats.samples_removed,
                    stats.samples_discarded
                );
                output.write_all(&(json.len() as u32).to_le_bytes())?;
                output.write_all(json.as_bytes())?;
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

fn time(input: &mut impl Read) -> io::Result<Timestamp> {
    Ok(Timestamp::from_micros((f64::from_le_bytes(take(input)?) * 1_000.0).round() as u64))
}

fn invalid(error: impl ToString) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, error.to_string())
}
