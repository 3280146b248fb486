//! `TalkpathAudioSocketDecoder` and the encoders of AudioSocket messages: for C programs that own their socket.
//!
//! Bytes in, messages out, and the other way round; whatever a peer sends, nothing is allocated and nothing waits. Who
//! wants calls instead of bytes has [`talkpath_server_new`](super::server::talkpath_server_new).

use std::ffi::c_char;

use super::check::{self, Failure, Out};
use super::status::{TalkpathStatus, guard};
use crate::protocol::audiosocket::{Decoder, HEADER_LEN, Kind, Message, encode_into};
use crate::protocol::call_id::CallId;
use crate::{Error, ErrorKind};

/// A message of AudioSocket: the sender ends the call.
pub const TALKPATH_AUDIOSOCKET_HANGUP: i32 = 0x00;
/// A message of AudioSocket: the call's id; always the first one of a caller, never one of an answer.
pub const TALKPATH_AUDIOSOCKET_ID: i32 = 0x01;
/// A message of AudioSocket: a key.
pub const TALKPATH_AUDIOSOCKET_DTMF: i32 = 0x03;
/// A message of AudioSocket: audio, whatever its rate.
pub const TALKPATH_AUDIOSOCKET_AUDIO: i32 = 0x10;
/// A message of AudioSocket: the sender ran into an error.
pub const TALKPATH_AUDIOSOCKET_ERROR: i32 = 0xff;

/// Turns what comes over an AudioSocket connection, in any pieces, into messages.
pub struct TalkpathAudioSocketDecoder(Decoder);

/// One message of an AudioSocket peer; which fields mean something, `kind` says.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathAudioSocketMessage {
    /// One of `TALKPATH_AUDIOSOCKET_…`.
    pub kind: i32,
    /// Of audio: the rate of its samples.
    pub rate_hz: u32,
    /// Of audio: 16-bit little-endian samples, at any address; talkpath_audiosocket_samples reads them. Yours to read until
    /// the decoder is used again, or the bytes that it was given change.
    pub payload: *const u8,
    /// How many bytes the payload has.
    pub payload_len: usize,
    /// Of an id: the id as a UUID, ended by a zero byte.
    pub id: [c_char; 40],
    /// Of a key: '0' to '9', '*', '#', 'A' to 'D'.
    pub digit: u8,
    /// Of an error: its code; Asterisk's are 1 (hangup), 2 (frame) and 4 (memory).
    pub error: u8,
}

/// Makes a decoder for one connection, and hands it over in `decoder`. Free it by
/// [`talkpath_audiosocket_decoder_free`].
///
/// `is_answer` says that the peer is the one that was called: it sends no id.
///
/// # Safety
/// `decoder` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_audiosocket_decoder_new(
    is_answer: bool,
    decoder: *mut *mut TalkpathAudioSocketDecoder,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let decoder = unsafe { Out::new("decoder", decoder) }?;
        decoder.give(TalkpathAudioSocketDecoder(if is_answer { Decoder::of_answer() } else { Decoder::new() }));
        Ok(())
    })
}

/// Takes bytes off the front of what was read, and writes the next message; `taken` gets how many were taken.
///
/// `TALKPATH_STATUS_EMPTY` when all `len` bytes were taken and no message is complete: go on with what is read next.
/// `TALKPATH_STATUS_PROTOCOL` when the stream can not be AudioSocket, from then on. Audio of more than 4,096 bytes comes in
/// pieces; messages that mean nothing are skipped. Real-time safe.
///
/// # Safety
/// `decoder` must come from [`talkpath_audiosocket_decoder_new`], and no other call may be using it; `bytes` must be
/// readable for `len` bytes, `taken` and `message` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_audiosocket_decoder_poll(
    decoder: *mut TalkpathAudioSocketDecoder,
    bytes: *const u8,
    len: usize,
    taken: *mut usize,
    message: *mut TalkpathAudioSocketMessage,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (decoder, mut bytes, taken, out) = unsafe {
            (
                &mut check::object_mut("decoder", decoder)?.0,
                check::slice("bytes", bytes, len)?,
                Out::new("taken", taken)?,
                Out::new("message", message)?,
            )
        };
        let polled = decoder.poll(&mut bytes).map_err(|error| Error::new(ErrorKind::Protocol, error.to_string()))?;
        let message = polled.ok_or(Failure::Empty)?;
        out.set(message_of(message));
        taken.set(len - bytes.len());
        Ok(())
    })
}

/// Writes how many messages were skipped because they mean nothing, and whether the stream stands between two messages,
/// so that its end cuts none.
///
/// # Safety
/// `decoder` must come from [`talkpath_audiosocket_decoder_new`], and no other call may be using it; `skipped` and
/// `is_between_messages` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_audiosocket_decoder_state(
    decoder: *const TalkpathAudioSocketDecoder,
    skipped: *mut u64,
    is_between_messages: *mut bool,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (decoder, skipped, between) = unsafe {
            (
                &check::object("decoder", decoder)?.0,
                Out::new("skipped", skipped)?,
                Out::new("is_between_messages", is_between_messages)?,
            )
        };
        skipped.set(decoder.skipped());
        between.set(decoder.is_between_messages());
        Ok(())
    })
}

/// Frees a decoder; NULL is nothing to free.
///
/// # Safety
/// `decoder` must come from [`talkpath_audiosocket_decoder_new`] and not have been freed, and no other call may be using
/// it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_audiosocket_decoder_free(decoder: *mut TalkpathAudioSocketDecoder) {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::free(decoder) };
        Ok(())
    });
}

/// Reads the samples of an audio message into `out`; half a sample at its end, which no honest peer sends, is left out.
///
/// `out_len` is the room in `out`, in samples: `payload_len / 2`. `written` gets how many were written. Real-time safe,
/// from any thread.
///
/// # Safety
/// `message` and its payload must be readable, `out` writable for `out_len` samples, `written` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_audiosocket_samples(
    message: *const TalkpathAudioSocketMessage,
    out: *mut i16,
    out_len: usize,
    written: *mut usize,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (message, out, written) = unsafe {
            (check::object("message", message)?, check::slice_mut("out", out, out_len)?, Out::new("written", written)?)
        };
        if message.kind != TALKPATH_AUDIOSOCKET_AUDIO {
            return Err(
                Error::invalid(format!("samples of a message of kind {:#04x}, wanted audio", message.kind)).into()
            );
        }
        // SAFETY: as the caller promises.
        let payload = unsafe { check::slice("payload", message.payload, message.payload_len) }?;
        let len = payload.len() / 2;
        check::room("out_len", out.len(), len)?;
        for (sample, bytes) in out.iter_mut().zip(payload.chunks_exact(2)) {
            *sample = i16::from_le_bytes([bytes[0], bytes[1]]);
        }
        written.set(len);
        Ok(())
    })
}

/// Writes the message with which a caller begins: the call's id, a UUID as text; `written` gets its length, 19 bytes.
///
/// Whole messages go out in one write each: Asterisk ends a call whose payload does not follow its header within 5 ms.
///
/// # Safety
/// `id` must lead to a zero-ended text; `out` must be writable for `out_len` bytes, `written` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_audiosocket_encode_id(
    id: *const c_char,
    out: *mut u8,
    out_len: usize,
    written: *mut usize,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let id: CallId = unsafe { check::text("id", id) }?.parse()?;
        // SAFETY: as the caller promises.
        unsafe { encode(Kind::Id, id.as_bytes(), out, out_len, written) }
    })
}

/// Writes a message with `len` samples of audio; `written` gets its length, 3 bytes and 2 a sample.
///
/// `rate_hz` is 8,000, 12,000, 16,000, 24,000, 32,000, 44,100, 48,000, 96,000 or 192,000; there are 1 to 32,767 samples,
/// and 20 ms of them are what Asterisk sends on as they are. Real-time safe, from any thread.
///
/// # Safety
/// `samples` must be readable for `len` samples, `out` writable for `out_len` bytes, `written` writable; `samples` and
/// `out` must not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_audiosocket_encode_audio(
    rate_hz: u32,
    samples: *const i16,
    len: usize,
    out: *mut u8,
    out_len: usize,
    written: *mut usize,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (samples, out, written) = unsafe {
            (
                check::slice("samples", samples, len)?,
                check::slice_mut("out", out, out_len)?,
                Out::new("written", written)?,
            )
        };
        let kind = Kind::Audio(check::rate(rate_hz)?);
        let Some(byte) = kind.to_byte() else {
            return Err(Error::invalid(format!("audio of {rate_hz} Hz, wanted a rate that AudioSocket has")).into());
        };
        let payload_len = match u16::try_from(2 * samples.len()) {
            Ok(len) if len > 0 => len,
            _ => return Err(Error::invalid(format!("{len} samples in a message, wanted 1 to 32767")).into()),
        };
        check::room("out_len", out.len(), HEADER_LEN + usize::from(payload_len))?;
        let (header, payload) = out.split_at_mut(HEADER_LEN);
        let [high, low] = payload_len.to_be_bytes();
        header.copy_from_slice(&[byte, high, low]);
        for (bytes, sample) in payload.chunks_exact_mut(2).zip(samples) {
            bytes.copy_from_slice(&sample.to_le_bytes());
        }
        written.set(HEADER_LEN + usize::from(payload_len));
        Ok(())
    })
}

/// Writes the message of a key, '0' to '9', '*', '#', 'A' to 'D'; `written` gets its length, 4 bytes.
///
/// # Safety
/// `out` must be writable for `out_len` bytes, `written` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_audiosocket_encode_dtmf(
    digit: u8,
    out: *mut u8,
    out_len: usize,
    written: *mut usize,
) -> TalkpathStatus {
    guard(|| {
        check::key(digit)?;
        // SAFETY: as the caller promises.
        unsafe { encode(Kind::Dtmf, &[digit], out, out_len, written) }
    })
}

/// Writes the message that ends a call; `written` gets its length, 3 bytes.
///
/// # Safety
/// `out` must be writable for `out_len` bytes, `written` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_audiosocket_encode_hangup(
    out: *mut u8,
    out_len: usize,
    written: *mut usize,
) -> TalkpathStatus {
    // SAFETY: as the caller promises.
    guard(|| unsafe { encode(Kind::Hangup, &[], out, out_len, written) })
}

/// # Safety
/// `out` must be writable for `out_len` bytes, `written` writable.
unsafe fn encode(kind: Kind, payload: &[u8], out: *mut u8, out_len: usize, written: *mut usize) -> check::Result<()> {
    // SAFETY: as the caller promises.
    let (out, written) = unsafe { (check::slice_mut("out", out, out_len)?, Out::new("written", written)?) };
    check::room("out_len", out.len(), HEADER_LEN + payload.len())?;
    written.set(encode_into(kind, payload, out).map_err(|error| Error::invalid(error.to_string()))?);
    Ok(())
}

fn message_of(message: Message<'_>) -> TalkpathAudioSocketMessage {
    let mut out = TalkpathAudioSocketMessage {
        kind: TALKPATH_AUDIOSOCKET_HANGUP,
        rate_hz: 0,
        payload: std::ptr::null(),
        payload_len: 0,
        id: [0; 40],
        digit: 0,
        error: 0,
    };
    match message {
        Message::Hangup => {}
        Message::Id(id) => {
            out.kind = TALKPATH_AUDIOSOCKET_ID;
            out.id = check::c_array(&id.to_string());
        }
        Message::Dtmf(key) => {
            out.kind = TALKPATH_AUDIOSOCKET_DTMF;
            out.digit = key as u8;
        }
        Message::Audio { rate, payload } => {
            out.kind = TALKPATH_AUDIOSOCKET_AUDIO;
            out.rate_hz = rate.hz();
            out.payload = payload.as_ptr();
            out.payload_len = payload.len();
        }
        Message::Error { code } => {
            out.kind = TALKPATH_AUDIOSOCKET_ERROR;
            out.error = code;
        }
    }
    out
}
