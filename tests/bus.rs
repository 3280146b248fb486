//! The event bus between threads: order, gaps, policies, one wake a batch, and ends.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use talkpath::ErrorKind;
use talkpath::system::bus::{
    Bus, Delivery, Event, Filter, Gap, Limits, Opaque, Options, Pattern, Payload, Policy, Subscription, Wake,
};

const LIMIT: Option<Duration> = Some(Duration::from_secs(20));

fn one() -> Payload {
    Payload::json("1")
}

fn options(policy: Policy, capacity: usize) -> Options {
    Options { policy, capacity, ..Options::default() }
}

fn drained(subscription: &Subscription) -> Vec<Delivery> {
    let mut out = Vec::new();
    subscription.drain(usize::MAX, &mut out);
    out
}

fn sequences(subscription: &Subscription) -> Vec<u64> {
    drained(subscription).iter().filter_map(Delivery::event).map(|event| event.sequence).collect()
}

fn is_readable(subscription: &Subscription) -> bool {
    let fd = subscription.fd().expect("a descriptor is left");
    poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

#[test]
fn an_event_says_what_when_and_of_whom() {
    let bus = Bus::new();
    let all = bus.subscribe(Filter::all(), Options::default()).unwrap();
    assert_eq!(bus.publish("call-1", "session:started", Payload::json("{\"rate\":8000}")).unwrap(), 1);
    assert_eq!(bus.publish("call-2", "console", Payload::bytes(*b"hello")).unwrap(), 1);
    assert_eq!(bus.clone().publish("call-1", "session:ended", one()).unwrap(), 2);
    let got = drained(&all);
    let events: Vec<&Event> = got.iter().filter_map(Delivery::event).collect();
    let names: Vec<_> = events.iter().map(|it| (&*it.session, &*it.kind, it.sequence)).collect();
    assert_eq!(names, [("call-1", "session:started", 1), ("call-2", "console", 1), ("call-1", "session:ended", 2)]);
    assert_eq!(events[0].payload.to_json().unwrap(), "{\"rate\":8000}");
    assert!(events[0].time_us > 1_700_000_000_000_000 && events[2].time_us >= events[0].time_us);
}

#[test]
fn filters_choose_by_session_and_kind_and_see_only_what_comes_after() {
    let bus = Bus::new();
    bus.publish("call-1", "voice:status", one()).unwrap();
    let voice = bus.subscribe(Filter::new("call-*", "voice:*").unwrap(), Options::default()).unwrap();
    let literal = Filter { session: Pattern::exact("call-*"), kind: Pattern::any() };
    let literal = bus.subscribe(literal, Options::default()).unwrap();
    for (session, kind) in
        [("call-1", "voice:status"), ("call-1", "console"), ("room-1", "voice:status"), ("call-*", "voice:x")]
    {
        bus.publish(session, kind, one()).unwrap();
    }
    let got: Vec<_> =
        drained(&voice).iter().filter_map(Delivery::event).map(|it| (it.session.to_string(), it.sequence)).collect();
    assert_eq!(got, [("call-1".to_string(), 2), ("call-*".to_string(), 1)]);
    assert_eq!(sequences(&literal), [1]);
    drop(voice);
    let later = bus.subscribe(Filter::session("call-1"), Options::default()).unwrap();
    bus.publish("call-1", "voice:status", one()).unwrap();
    assert_eq!(sequences(&later), [4]);
}

#[test]
fn names_and_sizes_are_checked() {
    let bus = Bus::with_limits(Limits { event_bytes: 1_000, ..Limits::default() });
    for (session, kind) in [("", "k"), ("s", ""), (&*"s".repeat(256), "k"), ("s", &*"k".repeat(256))] {
        assert_eq!(bus.publish(session, kind, one()).unwrap_err().kind(), ErrorKind::InvalidArgument);
    }
    let error = bus.publish("s", "k", Payload::bytes(vec![0; 1_000])).unwrap_err();
    assert!(error.to_string().ends_with("wanted at most 1000"), "{error}");
    assert!(bus.subscribe(Filter::all(), options(Policy::DropOldest, 0)).is_err());
    assert_eq!(bus.publish("s", "k", one()).unwrap(), 1, "what was refused has no number");
}

#[test]
fn a_slow_reader_is_told_exactly_what_it_missed() {
    let bus = Bus::new();
    let slow = bus.subscribe(Filter::new("*", "wanted").unwrap(), options(Policy::DropOldest, 3)).unwrap();
    for _ in 0..5 {
        bus.publish("a", "wanted", one()).unwrap();
        bus.publish("a", "other", one()).unwrap();
    }
    let got = drained(&slow);
    let gap = Gap { session: Some("a".into()), count: 2, first_sequence: 1, last_sequence: 3 };
    assert!(matches!(&got[0], Delivery::Gap(it) if *it == gap), "{got:?}");
    let rest: Vec<u64> = got[1..].iter().filter_map(Delivery::event).map(|event| event.sequence).collect();
    assert_eq!(rest, [5, 7, 9]);
    assert_eq!(slow.stats().dropped, 2);
}

#[test]
fn a_lossless_reader_holds_the_publisher_up_and_loses_nothing() {
    let bus = Bus::new();
    let reader = bus.subscribe(Filter::all(), options(Policy::Lossless, 4)).unwrap();
    let other = bus.subscribe(Filter::all(), options(Policy::Lossless, 1_000_000)).unwrap();
    let publisher = bus.clone();
    let publishing = std::thread::spawn(move || {
        for _ in 0..20_000 {
            publisher.publish("s", "k", one()).unwrap();
        }
    });
    let mut got = Vec::new();
    while got.len() < 20_000 {
        assert!(reader.wait(LIMIT).unwrap());
        let before = got.len();
        got.extend(sequences(&reader));
        assert!(got.len() <= before + 4);
    }
    publishing.join().unwrap();
    assert!(got.iter().copied().eq(1..=20_000));
    assert!(sequences(&other).into_iter().eq(1..=20_000));
}

#[test]
fn a_full_lossless_reader_refuses_or_times_out_and_nobody_gets_half() {
    let bus = Bus::with_limits(Limits { publish_timeout: Duration::from_millis(30), ..Limits::default() });
    let wide = bus.subscribe(Filter::all(), options(Policy::Lossless, 10)).unwrap();
    let lossy = bus.subscribe(Filter::all(), options(Policy::DropOldest, 10)).unwrap();
    let narrow = Options { policy: Policy::Lossless, capacity: 1, name: "the narrow one".into(), ..Options::default() };
    let narrow = bus.subscribe(Filter::all(), narrow).unwrap();
    assert_eq!(bus.try_publish("s", "k", one()).unwrap(), 1);
    assert_eq!(bus.try_publish("s", "k", one()).unwrap_err().kind(), ErrorKind::LimitExceeded);
    let error = bus.publish("s", "k", one()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().starts_with("the narrow one had no room"), "{error}");
    assert_eq!(sequences(&narrow), [1]);
    assert_eq!(bus.try_publish("s", "k", one()).unwrap(), 2);
    for reader in [&wide, &lossy] {
        assert_eq!(sequences(reader), [1, 2]);
    }
}

#[test]
fn conflation_keeps_the_newest_of_each_kind_in_order() {
    let bus = Bus::new();
    let meter = bus.subscribe(Filter::all(), options(Policy::Conflate, 10)).unwrap();
    for _ in 0..3 {
        bus.publish("s", "voice:mic_level", one()).unwrap();
        bus.publish("s", "voice:spk_level", one()).unwrap();
    }
    bus.publish("s", "voice:mic_level", one()).unwrap();
    assert_eq!(sequences(&meter), [6, 7]);
    assert_eq!((meter.stats().conflated, meter.stats().dropped), (5, 0));
}

#[test]
fn the_descriptor_is_readable_while_there_is_something() {
    let bus = Bus::new();
    let reader = bus.subscribe(Filter::all(), Options::default()).unwrap();
    assert!(!is_readable(&reader));
    for _ in 0..3 {
        bus.publish("s", "k", one()).unwrap();
    }
    assert!(is_readable(&reader));
    let mut out = Vec::new();
    assert_eq!(reader.drain(2, &mut out), 2);
    assert!(is_readable(&reader), "one is left");
    assert_eq!(reader.drain(2, &mut out), 1);
    assert!(!is_readable(&reader));
    bus.publish("s", "k", one()).unwrap();
    assert!(is_readable(&reader));
    let early = bus.subscribe(Filter::all(), Options::default()).unwrap();
    bus.publish("s", "k", one()).unwrap();
    assert!(is_readable(&early), "what came before the descriptor counts, too");
    drop(bus);
    assert!(is_readable(&early));
    assert_eq!(drained(&early).len(), 1);
    assert!(is_readable(&early) && early.is_over(), "and so does the end");
}

#[test]
fn waiting_ends_with_news_with_the_bus_and_with_time() {
    let bus = Bus::new();
    let reader = Arc::new(bus.subscribe(Filter::all(), Options::default()).unwrap());
    assert!(!reader.wait(Some(Duration::from_millis(5))).unwrap());
    let waiting = Arc::clone(&reader);
    let thread = std::thread::spawn(move || {
        let mut got = Vec::new();
        while !waiting.is_over() {
            assert!(waiting.wait(LIMIT).unwrap());
            got.extend(sequences(&waiting));
        }
        got
    });
    for _ in 0..100 {
        bus.publish("s", "k", one()).unwrap();
    }
    drop(bus);
    assert!(thread.join().unwrap().into_iter().eq(1..=100));
}

#[test]
fn closing_lets_a_waiting_publisher_go_on() {
    let bus = Bus::new();
    let reader = bus.subscribe(Filter::all(), options(Policy::Lossless, 1)).unwrap();
    bus.publish("s", "k", one()).unwrap();
    std::thread::scope(|scope| {
        let blocked = scope.spawn(|| bus.publish("s", "k", one()));
        reader.close();
        assert_eq!(blocked.join().unwrap().unwrap(), 2);
    });
    assert!(reader.is_over() && drained(&reader).is_empty());
    assert_eq!(bus.publish("s", "k", one()).unwrap(), 3, "nobody listens, and that is no error");
}

/// Counts how often it was told.
#[derive(Default)]
struct Counter {
    told: AtomicUsize,
    is_gone: AtomicBool,
}

impl Wake for Counter {
    fn wake(&self) {
        self.told.fetch_add(1, SeqCst);
    }

    fn is_gone(&self) -> bool {
        self.is_gone.load(SeqCst)
    }
}

#[test]
fn a_reader_is_told_once_until_it_has_found_nothing_more() {
    let bus = Bus::new();
    let reader = bus.subscribe(Filter::all(), Options::default()).unwrap();
    bus.publish("s", "k", one()).unwrap();
    let counter = Arc::new(Counter::default());
    reader.set_wake(counter.clone()).unwrap();
    assert_eq!(counter.told.load(SeqCst), 1, "of what came before");
    assert!(reader.set_wake(counter.clone()).is_err());
    bus.publish("s", "k", one()).unwrap();
    let mut out = Vec::new();
    assert_eq!(reader.drain_on(10, &mut out), 2);
    bus.publish("s", "k", one()).unwrap();
    assert_eq!(counter.told.load(SeqCst), 1, "it goes on reading");
    assert_eq!(reader.drain_on(10, &mut out), 1);
    assert_eq!(reader.drain_on(10, &mut out), 0);
    bus.publish("s", "k", one()).unwrap();
    assert_eq!(counter.told.load(SeqCst), 2);
    assert_eq!(reader.drain(10, &mut out), 1);
    bus.publish("s", "k", one()).unwrap();
    assert_eq!(counter.told.load(SeqCst), 3, "it had emptied it and gone back to wait");
}

#[test]
fn a_publisher_is_told_of_room_and_a_reader_that_is_gone_is_closed() {
    let bus = Bus::new();
    let reader = bus.subscribe(Filter::all(), options(Policy::Lossless, 1)).unwrap();
    let (readers, publishers) = (Arc::new(Counter::default()), Arc::new(Counter::default()));
    reader.set_wake(readers.clone()).unwrap();
    let publisher = bus.publisher("s").unwrap();
    let told: Arc<dyn Wake> = publishers.clone();
    assert_eq!(publisher.try_publish_or_tell("k", one(), &told).unwrap(), 1);
    for _ in 0..2 {
        let error = publisher.try_publish_or_tell("k", one(), &told).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    }
    assert_eq!(publishers.told.load(SeqCst), 0);
    drained(&reader);
    assert_eq!(publishers.told.load(SeqCst), 1);
    assert_eq!(publisher.try_publish_or_tell("k", one(), &told).unwrap(), 2);
    readers.is_gone.store(true, SeqCst);
    assert_eq!(publisher.publish("k", one()).unwrap(), 3, "nobody will ever read it");
    assert!(reader.is_over());
}

/// An object whose end publishes, as an object of some language may do.
struct Talkative {
    bus: Bus,
}

impl Opaque for Talkative {
    fn to_json(&self) -> talkpath::Result<String> {
        Ok("\"talkative\"".into())
    }
}

impl Drop for Talkative {
    fn drop(&mut self) {
        self.bus.publish("s", "last words", one()).expect("nobody who loses nothing wants them");
    }
}

#[test]
fn what_is_put_out_may_publish_as_it_goes() {
    let bus = Bus::new();
    for policy in Policy::ALL {
        let reader = bus.subscribe(Filter::new("s", "k").unwrap(), options(policy, 2)).unwrap();
        for _ in 0..6 {
            let talkative = Payload::Object(Arc::new(Talkative { bus: bus.clone() }));
            // Full or not, the object goes some time, and no lock is held then.
            let _ = bus.try_publish("s", "k", talkative);
        }
        reader.close();
    }
    bus.publish("s", "k", Payload::Object(Arc::new(Talkative { bus: bus.clone() }))).unwrap();
    assert!(bus.publish("s", "k", one()).is_ok());
}

#[test]
fn sessions_are_forgotten_beyond_the_limit_those_in_use_last() {
    let bus = Bus::with_limits(Limits { sessions: 320, ..Limits::default() });
    for n in 0..5_000 {
        bus.publish("busy", "k", one()).unwrap();
        bus.publish(&format!("call-{n}"), "k", one()).unwrap();
    }
    assert!(bus.session_count().unwrap() <= 320);
    assert_eq!(bus.publish("busy", "k", one()).unwrap(), 5_001);
    assert_eq!(bus.publish("call-0", "k", one()).unwrap(), 1, "forgotten long ago");
    let publisher = bus.publisher("busy").unwrap();
    bus.forget("busy").unwrap();
    assert_eq!(publisher.publish("k", one()).unwrap(), 1);
    assert_eq!(publisher.publish("k", one()).unwrap(), 2);
    assert_eq!(bus.publish("busy", "k", one()).unwrap(), 3);
}

/// Four publishers, three sessions, three readers of every policy that come and go late: each sees every session in order,
/// and its gaps account for all the rest.
#[test]
fn order_and_gaps_hold_under_stress() {
    const EACH: u64 = 30_000;
    let bus = Bus::new();
    let seen_by = |policy, capacity, pause: u64| {
        let reader = bus.subscribe(Filter::all(), options(policy, capacity)).unwrap();
        std::thread::spawn(move || {
            let (mut out, mut seen) = (Vec::new(), HashMap::<Arc<str>, u64>::new());
            while !reader.is_over() {
                assert!(reader.wait(LIMIT).unwrap());
                for _ in 0..pause {
                    std::thread::yield_now();
                }
                reader.drain(500, &mut out);
                for delivery in out.drain(..) {
                    let (session, first, last, count) = match delivery {
                        Delivery::Event(event) => (event.session, event.sequence, event.sequence, 1),
                        Delivery::Gap(gap) => (gap.session.unwrap(), gap.first_sequence, gap.last_sequence, gap.count),
                    };
                    let before = seen.entry(session).or_default();
                    if policy == Policy::Conflate {
                        assert!(first > *before);
                    } else {
                        assert_eq!((first, last), (*before + 1, *before + count));
                    }
                    *before = last;
                }
            }
            seen
        })
    };
    let readers =
        [seen_by(Policy::Lossless, 64, 0), seen_by(Policy::DropOldest, 64, 20), seen_by(Policy::Conflate, 64, 5)];
    std::thread::scope(|scope| {
        for publisher in 0..4_u64 {
            let bus = &bus;
            scope.spawn(move || {
                // A small generator of its own: the same choices each time.
                let mut state = publisher + 1;
                for _ in 0..EACH {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let session = ["a", "b", "c"][(state >> 33) as usize % 3];
                    bus.publish(session, ["x", "y"][(state >> 40) as usize % 2], one()).unwrap();
                }
            });
        }
    });
    drop(bus);
    for reader in readers {
        assert_eq!(reader.join().unwrap().values().sum::<u64>(), 4 * EACH);
    }
}

/// A reader by descriptor who arms, sleeps and drains as fast as it can misses no wake.
#[test]
fn no_wake_is_lost() {
    let bus = Bus::new();
    let reader = bus.subscribe(Filter::all(), options(Policy::Lossless, 2)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    bus.publish("s", "k", one()).unwrap();
                }
            });
        }
        let (mut got, mut out) = (0, Vec::new());
        while got < 40_000 {
            let ready =
                poll(&mut [PollFd::new(reader.fd().unwrap(), PollFlags::POLLIN)], PollTimeout::from(20_000_u16));
            assert!(ready.unwrap() > 0, "after {got}");
            // Sometimes one, sometimes all, sometimes until there is nothing.
            got += match got % 3 {
                0 => reader.drain(1, &mut out),
                1 => reader.drain(9, &mut out),
                _ => std::iter::repeat_with(|| reader.drain_on(1, &mut out)).take_while(|&n| n > 0).sum(),
            };
            out.clear();
        }
    });
}
