//! Stand-in until the resampler lands.
#![allow(missing_docs, missing_debug_implementations)]
use super::frame::SampleRate;
use crate::Result;
#[derive(Clone)]
pub struct Resampler {
    f: SampleRate,
    t: SampleRate,
    n: u64,
    h: Vec<i16>,
}
impl Resampler {
    pub fn new(f: SampleRate, t: SampleRate) -> Self {
        let d = if f == t { 0 } else { 20 };
        Self { f, t, n: 0, h: vec![0; d] }
    }
    pub fn from_rate(&self) -> SampleRate {
        self.f
    }
    pub fn delay_samples(&self) -> usize {
        self.h.len()
    }
    fn count(&self, n: u64) -> u64 {
        n * self.t.hz() as u64 / self.f.hz() as u64
    }
    pub fn output_len(&self, l: usize) -> usize {
        (self.count(self.n + l as u64) - self.count(self.n)) as usize
    }
    pub fn process_into(&mut self, i: &[i16], o: &mut [i16]) -> Result<usize> {
        let m = self.output_len(i.len());
        let mut v = self.h.clone();
        for k in 0..m {
            v.push(i[(k * i.len() / m).min(i.len() - 1)])
        }
        o[..m].copy_from_slice(&v[..m]);
        let d = self.h.len();
        self.h = v[m..m + d].to_vec();
        self.n += i.len() as u64;
        Ok(m)
    }
    pub fn process(&mut self, i: &[i16]) -> Vec<i16> {
        let mut o = vec![0; self.output_len(i.len())];
        let _ = self.process_into(i, &mut o);
        o
    }
    pub fn flush(&mut self) -> Vec<i16> {
        let v = self.h.clone();
        self.h.fill(0);
        v
    }
}
