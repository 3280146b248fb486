//! What a network of given impairments does to a long stream of packets, and that a seed tells all of it.

use std::time::Duration;

use talkpath::Timestamp;
use talkpath::impair::{Impairment, Network};

const PACKETS: usize = 100_000;
const PTIME_US: u64 = 20_000;

/// What became of packets sent every 20 ms: their arrivals in µs.
fn send(text: &str) -> Vec<Vec<u64>> {
    let impairment = text.parse().expect("well written");
    let mut network = Network::new(impairment).expect("in range");
    let sent = (0..PACKETS as u64).map(|n| Timestamp::from_micros(1_000_000 + n * PTIME_US));
    sent.map(|sent| network.send(sent).map(Timestamp::as_micros).collect()).collect()
}

/// How long each packet took, in ms; `None` for lost ones.
fn delays(text: &str) -> Vec<Option<f64>> {
    let taken = |(n, arrivals): (usize, &Vec<u64>)| {
        arrivals.first().map(|&at| (at as f64 - 1e6 - (n as u64 * PTIME_US) as f64) / 1e3)
    };
    send(text).iter().enumerate().map(taken).collect()
}

fn lost(text: &str) -> Vec<bool> {
    send(text).iter().map(Vec::is_empty).collect()
}

fn share(which: impl Iterator<Item = bool>) -> f64 {
    which.filter(|&is| is).count() as f64 / PACKETS as f64
}

fn quantile(values: &[Option<f64>], q: f64) -> f64 {
    let mut values: Vec<f64> = values.iter().flatten().copied().collect();
    values.sort_by(f64::total_cmp);
    values[(values.len() as f64 * q) as usize]
}

#[test]
fn a_network_without_impairments_changes_nothing() {
    assert_eq!(Impairment::default(), "".parse().unwrap());
    assert!(delays("").iter().all(|&delay| delay == Some(0.0)));
    assert!(delays("delay=35ms").iter().all(|&delay| delay == Some(35.0)));
}

#[test]
fn loss_has_its_share_and_its_bursts_their_mean_length() {
    for (text, loss, burst) in [
        ("loss=5%,seed=1", 0.05, 1.0 / 0.95),
        ("loss=20%,burst=1,seed=2", 0.2, 1.25),
        ("loss=5%,burst=2,seed=3", 0.05, 2.0),
        ("loss=10%,burst=4,seed=4", 0.1, 4.0),
        ("loss=60%,burst=5,seed=5", 0.6, 5.0),
    ] {
        let lost = lost(text);
        let rows = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count();
        let count = lost.iter().filter(|&&it| it).count();
        let (got, row) = (count as f64 / PACKETS as f64, count as f64 / rows as f64);
        assert!((got / loss - 1.0).abs() < 0.07, "{text}: {got}");
        assert!((row / burst - 1.0).abs() < 0.07, "{text}: rows of {row}");
    }
    assert!(lost("loss=100%").iter().all(|&it| it));
}

#[test]
fn jitter_holds_19_of_20_packets_up_no_longer_than_it_says_and_has_a_long_tail() {
    let delays = delays("jitter=40ms,delay=10ms,seed=8");
    let at = |q| quantile(&delays, q) - 10.0;
    assert!(at(0.0) >= 0.0);
    assert!((6.0..12.0).contains(&at(0.5)), "{}", at(0.5));
    assert!((38.0..52.0).contains(&at(0.95)), "{}", at(0.95));
    assert!((110.0..260.0).contains(&at(0.999)), "{}", at(0.999));
    assert!(at(1.0 - 0.5 / PACKETS as f64) <= 400.0);
}

#[test]
fn jitter_alone_never_swaps_packets_and_bunches_those_behind_a_late_one() {
    let arrivals: Vec<u64> = send("jitter=60ms,seed=5").into_iter().flatten().collect();
    assert!(arrivals.windows(2).all(|pair| pair[0] <= pair[1]));
    let bunched = arrivals.windows(2).filter(|pair| pair[1] - pair[0] < 1_000).count();
    assert!(bunched > PACKETS / 50, "{bunched}");
}

#[test]
fn packets_are_overtaken_and_doubled_in_the_given_shares() {
    let arrivals = send("reorder=3%,dup=2%,seed=6");
    let doubled = share(arrivals.iter().map(|times| times.len() == 2));
    assert!((doubled - 0.02).abs() < 0.002, "{doubled}");
    assert!(arrivals.iter().filter(|times| times.len() == 2).all(|times| times[1] >= times[0]));
    let overtaken = share(arrivals.windows(2).map(|pair| pair[0][0] > pair[1][0]));
    assert!((0.025..0.032).contains(&overtaken), "{overtaken}");
}

#[test]
fn drift_stretches_time_from_the_first_packet_on() {
    for (text, factor) in [("drift=200ppm", 200e-6), ("drift=-200ppm", -200e-6)] {
        let delays = delays(text);
        let last_ms = (PACKETS - 1) as f64 * 20.0;
        assert_eq!(delays[0], Some(0.0));
        assert!((delays[PACKETS - 1].unwrap() - last_ms * factor).abs() < 0.01, "{text}");
    }
}

#[test]
fn a_seed_tells_everything_and_another_one_something_else() {
    let text = "loss=5%,burst=2,jitter=40ms,reorder=1%,dup=1%,seed=";
    assert_eq!(send(&format!("{text}7")), send(&format!("{text}7")));
    let (one, other) = (lost(&format!("{text}7")), lost(&format!("{text}8")));
    let both = share(one.iter().zip(&other).map(|(a, b)| *a && *b));
    assert!(both < 0.004, "two seeds lose the same packets: {both}");
}

#[test]
fn which_packets_are_lost_does_not_depend_on_the_other_impairments() {
    let alone = lost("loss=5%,burst=2,seed=7");
    assert_eq!(lost("loss=5%,burst=2,jitter=40ms,reorder=1%,dup=2%,drift=50ppm,seed=7"), alone);
    assert_eq!(delays("jitter=30ms,seed=7"), delays("jitter=30ms,dup=3%,seed=7"));
}

#[test]
fn a_network_that_only_delays_says_so() {
    let only = |text: &str| text.parse::<Impairment>().unwrap().only_delays();
    assert!(only("jitter=40ms,delay=20ms,drift=30ppm"));
    assert!(!only("loss=1%") && !only("reorder=1%") && !only("dup=1%"));
}

#[test]
fn values_out_of_range_are_refused() {
    let network = |impairment| Network::new(impairment).err().map(|error| error.to_string());
    let loss = Impairment { loss: f64::NAN, ..Impairment::default() };
    assert_eq!(network(loss).unwrap(), "loss of NaN%, wanted 0% to 100%");
    let jitter = Impairment { jitter: Duration::from_secs(11), ..Impairment::default() };
    assert_eq!(network(jitter).unwrap(), "jitter of 11s, wanted at most 10s");
}
