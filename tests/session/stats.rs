//! The figures of the network: what the jitter buffer counts, and what the far end reports.

use std::time::Duration;

use talkpath::audio::codec::Codec;
use talkpath::audio::frame::SampleRate;
use talkpath::session::{Config, EndReason, Input, RemoteReport};

use crate::harness::{Call, Caller, tone};

const R: SampleRate = SampleRate::HZ_8000;

#[test]
fn an_ordered_transport_has_none() {
    let (mut call, agent) = Call::phone();
    call.quiet(100);
    assert_eq!(agent.control.stats().network, None);
    assert!(call.session.jitter_stats().is_none());
}

#[test]
fn loss_is_counted_and_rated() {
    let mut caller = Caller::new(Codec::PCMU);
    let (mut call, agent) = Call::packets(Config::default(), &mut caller);
    for n in 0..500 {
        let packet = caller.say(&tone(R, 20, 400.0));
        if n % 10 != 5 {
            call.receive(&packet);
        }
        call.idle(1);
    }
    let running = agent.control.stats().network.unwrap();
    assert!((440..=451).contains(&running.packets), "at most half a second ago: {running:?}");
    call.take(Input::Ended(EndReason::CallerHangup));
    let network = agent.control.stats().network.unwrap();
    assert_eq!((network.packets, network.packets_lost, network.packets_late), (451, 50, 0));
    assert!((0.09..0.11).contains(&network.concealed_share), "{network:?}");
    assert!((1.5..4.0).contains(&network.mos), "a tenth is lost: {network:?}");
    assert_eq!(network.remote, None);
}

#[test]
fn what_the_far_end_reports_is_passed_on() {
    let (mut call, agent) = Call::phone();
    let report = RemoteReport {
        loss: 0.125,
        packets_lost: 17,
        jitter: Duration::from_millis(3),
        round_trip: Some(Duration::from_millis(84)),
    };
    call.take(Input::Report(report));
    assert_eq!(agent.control.stats().network.unwrap().remote, Some(report));
    let unknown = RemoteReport { round_trip: None, ..report };
    call.take(Input::Report(unknown));
    assert_eq!(agent.control.stats().network.unwrap().remote, Some(unknown));
}
