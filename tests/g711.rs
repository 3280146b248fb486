//! G.711 gives CPython's answer for every sample and every byte, on every kernel, at every length and alignment.

use talkpath::ErrorKind;
use talkpath::audio::codec::Encoding;
use talkpath::audio::codec::g711::Kernel;

/// What audioop answers: made by `vectors/make_g711.py`.
const VECTORS: &str = include_str!("vectors/g711.txt");

struct Reference {
    decoded: [i16; 256],
    encoded: Vec<u8>,
}

impl Reference {
    fn of(law: &str) -> Self {
        let mut decoded = [0; 256];
        let mut runs: Vec<(i32, u8)> = Vec::new();
        for line in VECTORS.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let number = |i: usize| words[i].parse::<i32>().expect("a number in the vectors");
            match (words[0] == law, words[1]) {
                (true, "decode") => decoded[number(2) as usize] = number(3) as i16,
                (true, "encode") => runs.push((number(2), number(3) as u8)),
                _ => {}
            }
        }
        let ends = runs.iter().skip(1).map(|run| run.0).chain([32_768]);
        let encoded: Vec<u8> =
            runs.iter().zip(ends).flat_map(|(&(start, byte), end)| vec![byte; (end - start) as usize]).collect();
        assert_eq!(encoded.len(), 65_536, "the runs of {law} cover every sample");
        Self { decoded, encoded }
    }
}

fn all_samples() -> Vec<i16> {
    (i16::MIN..=i16::MAX).collect()
}

type Decode = fn(Kernel, &[u8], &mut [i16]);
type Encode = fn(Kernel, &[i16], &mut [u8]);

const LAWS: [(&str, Encoding, Decode, Encode); 2] = [
    ("ulaw", Encoding::Ulaw, Kernel::decode_ulaw, Kernel::encode_ulaw),
    ("alaw", Encoding::Alaw, Kernel::decode_alaw, Kernel::encode_alaw),
];

/// ITU-T G.191's mu-law encoder, written out as its text describes it.
fn g191_ulaw(sample: i16) -> u8 {
    let ones_complement = if sample < 0 { !i32::from(sample) } else { i32::from(sample) };
    let magnitude = ((ones_complement >> 2) + 33).min(0x1fff);
    let mut segment = 1;
    while magnitude >> (5 + segment) != 0 {
        segment += 1;
    }
    let byte = (8 - segment) << 4 | (15 - (magnitude >> segment & 15));
    (byte | if sample >= 0 { 0x80 } else { 0 }) as u8
}

/// ITU-T G.191's A-law encoder, written out likewise.
fn g191_alaw(sample: i16) -> u8 {
    let mut code = (if sample < 0 { !i32::from(sample) } else { i32::from(sample) }) >> 4;
    if code > 15 {
        let mut exponent = 1;
        while code > 31 {
            code >>= 1;
            exponent += 1;
        }
        code = code - 16 + (exponent << 4);
    }
    (code | if sample >= 0 { 0x80 } else { 0 }) as u8 ^ 0x55
}

#[test]
fn every_byte_decodes_as_in_cpython() {
    let bytes: Vec<u8> = (0..=255).collect();
    for (law, encoding, decode, _) in LAWS {
        let reference = Reference::of(law);
        assert_eq!(encoding.decode(&bytes).unwrap(), reference.decoded, "{law}");
        for kernel in Kernel::available() {
            let mut out = [0; 256];
            decode(kernel, &bytes, &mut out);
            assert_eq!(out, reference.decoded, "{law} on {}", kernel.name());
        }
    }
}

#[test]
fn every_sample_encodes_as_in_cpython() {
    let samples = all_samples();
    for (law, encoding, _, encode) in LAWS {
        let reference = Reference::of(law);
        assert!(encoding.encode(&samples) == reference.encoded, "{law}");
        for kernel in Kernel::available() {
            let mut out = vec![0; samples.len()];
            encode(kernel, &samples, &mut out);
            let wrong = samples.iter().zip(out.iter().zip(&reference.encoded)).find(|(_, (got, want))| got != want);
            assert_eq!(wrong, None, "{law} on {}: (sample, (got, wanted))", kernel.name());
        }
    }
}

#[test]
fn every_length_and_alignment_agrees() {
    // Strides coprime to the ranges: neighbours differ in sign and segment, so a lane out of place shows.
    let bytes: Vec<u8> = (0..700_u32).map(|i| (i * 73 + 5) as u8).collect();
    let samples: Vec<i16> = (0..700_u32).map(|i| (i * 24_593 + 77) as i16).collect();
    for (law, _, decode, encode) in LAWS {
        let reference = Reference::of(law);
        for kernel in Kernel::available() {
            for len in (0..=300).chain(510..=580) {
                for offset in [0, 1, 3, 7, 16, 31] {
                    let context = format!("{law} on {}, {len} from {offset}", kernel.name());

                    let input = &bytes[offset..offset + len];
                    let mut out = [i16::MAX - 1; 640];
                    decode(kernel, input, &mut out[offset..offset + len]);
                    let want = input.iter().map(|&byte| reference.decoded[usize::from(byte)]);
                    assert!(out[offset..offset + len].iter().copied().eq(want), "decode {context}");
                    assert!(out[..offset].iter().chain(&out[offset + len..]).all(|&s| s == i16::MAX - 1), "{context}");

                    let input = &samples[offset..offset + len];
                    let mut out = [0x2a; 640];
                    encode(kernel, input, &mut out[offset..offset + len]);
                    let want = input.iter().map(|&s| reference.encoded[(i32::from(s) + 32_768) as usize]);
                    assert!(out[offset..offset + len].iter().copied().eq(want), "encode {context}");
                    assert!(out[..offset].iter().chain(&out[offset + len..]).all(|&b| b == 0x2a), "{context}");
                }
            }
        }
    }
}

#[test]
fn g191_is_offered_by_name() {
    let samples = all_samples();
    let want: Vec<u8> = samples.iter().map(|&sample| g191_ulaw(sample)).collect();
    for kernel in Kernel::available() {
        let mut out = vec![0; samples.len()];
        kernel.encode_ulaw_g191(&samples, &mut out);
        let wrong = samples.iter().zip(out.iter().zip(&want)).find(|(_, (got, want))| got != want);
        assert_eq!(wrong, None, "{}: (sample, (got, wanted))", kernel.name());
    }
    let different: Vec<i16> = samples
        .iter()
        .zip(want.iter().zip(&Reference::of("ulaw").encoded))
        .filter_map(|(&sample, (g191, cpython))| (g191 != cpython).then_some(sample))
        .collect();
    assert_eq!(different.len(), 508);
    assert!(different.iter().all(|&sample| sample < 0));
}

#[test]
fn g191_has_the_same_a_law() {
    let want: Vec<u8> = all_samples().into_iter().map(g191_alaw).collect();
    assert!(Reference::of("alaw").encoded == want);
}

#[test]
fn a_decoded_byte_encodes_to_itself() {
    for (law, encoding, _, _) in LAWS {
        for byte in 0..=255_u8 {
            let again = encoding.encode(&encoding.decode(&[byte]).unwrap())[0];
            // Mu-law has two zeros; the negative one comes back positive.
            let want = if law == "ulaw" && byte == 0x7f { 0xff } else { byte };
            assert_eq!(again, want, "{law} {byte:#04x}");
        }
    }
}

#[test]
fn linear_keeps_every_sample_in_its_byte_order() {
    let samples = [0x0102, -2, i16::MIN];
    assert_eq!(Encoding::Slin.encode(&samples), [0x02, 0x01, 0xfe, 0xff, 0x00, 0x80]);
    assert_eq!(Encoding::SlinBe.encode(&samples), [0x01, 0x02, 0xff, 0xfe, 0x80, 0x00]);
    let all = all_samples();
    for encoding in [Encoding::Slin, Encoding::SlinBe] {
        assert!(encoding.decode(&encoding.encode(&all)).unwrap() == all, "{encoding}");
    }
}

#[test]
fn bytes_to_bytes_agrees_with_samples() {
    // Longer than the block that goes through the stack, and not a multiple of it.
    let samples: Vec<i16> = (0..1_300_u32).map(|i| (i * 24_593) as i16).collect();
    let slin = Encoding::Slin.encode(&samples);
    for encoding in Encoding::ALL {
        let wire = encoding.encode(&samples);
        let mut out = vec![0; wire.len() + 3];
        assert_eq!(encoding.encode_from_slin(&slin, &mut out).unwrap(), wire.len());
        assert_eq!(out, [wire.as_slice(), &[0; 3]].concat(), "{encoding}");

        let decoded = Encoding::Slin.encode(&encoding.decode(&wire).unwrap());
        let mut out = vec![0; decoded.len() + 3];
        assert_eq!(encoding.decode_to_slin(&wire, &mut out).unwrap(), decoded.len());
        assert_eq!(out, [decoded.as_slice(), &[0; 3]].concat(), "{encoding}");

        let short = decoded.len() - 1;
        assert_eq!(encoding.decode_to_slin(&wire, &mut out[..short]).unwrap_err().kind(), ErrorKind::InvalidArgument);
        let error = encoding.encode_from_slin(&slin[1..], &mut out).unwrap_err();
        assert_eq!(error.to_string(), "slin payload of 2599 bytes, wanted an even count");
    }
}

#[test]
fn silence_is_what_zero_encodes_to() {
    for encoding in Encoding::ALL {
        assert_eq!(encoding.encode(&[0; 5]), vec![encoding.silence(); 5 * encoding.bytes_per_sample()], "{encoding}");
    }
}

#[test]
fn half_a_sample_is_refused() {
    let mut out = [7; 4];
    let error = Encoding::Slin.decode_into(&[1, 2, 3], &mut out).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(error.to_string(), "slin payload of 3 bytes, wanted an even count");
    assert_eq!(out, [7; 4]);
    assert!(Encoding::SlinBe.decode(&[1]).is_err());
}

#[test]
fn too_little_room_is_refused_and_untouched() {
    let mut samples = [7; 2];
    let error = Encoding::Ulaw.decode_into(&[0xff; 3], &mut samples).unwrap_err();
    assert_eq!(error.to_string(), "room for 2 decoded samples, wanted 3");
    assert_eq!(samples, [7; 2]);

    let mut bytes = [7; 5];
    let error = Encoding::Slin.encode_into(&[0; 3], &mut bytes).unwrap_err();
    assert_eq!(error.to_string(), "room for 5 encoded bytes, wanted 6");
    assert_eq!(bytes, [7; 5]);
    assert_eq!(Encoding::Alaw.encode_into(&[0; 3], &mut bytes).unwrap(), 3);
    assert_eq!(bytes, [0xd5, 0xd5, 0xd5, 7, 7]);
}

#[test]
fn names_lead_to_encodings_and_back() {
    for encoding in Encoding::ALL {
        assert_eq!(encoding.name().parse::<Encoding>().unwrap(), encoding);
        assert_eq!(encoding.to_string(), encoding.name());
    }
    let aliases = [("PCMU", Encoding::Ulaw), ("mu-law", Encoding::Ulaw), ("mulaw", Encoding::Ulaw)];
    let more = [("pcma", Encoding::Alaw), ("G711_alaw", Encoding::Alaw), ("L16", Encoding::SlinBe)];
    let linear = [("slin16le", Encoding::Slin), ("linear16", Encoding::Slin), ("pcm_s16le", Encoding::Slin)];
    for (name, encoding) in aliases.into_iter().chain(more).chain(linear) {
        assert_eq!(Encoding::from_name(name).unwrap(), encoding, "{name}");
    }
    let error = Encoding::from_name("gsm").unwrap_err();
    assert_eq!(error.to_string(), "encoding \"gsm\", wanted one of slin, slin_be, ulaw, alaw");
    assert!(Encoding::from_name("slin16").is_err(), "a rate, not an encoding");
}
