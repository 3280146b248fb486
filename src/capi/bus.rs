//! `TalkpathBus` and `TalkpathSubscription`: events between threads, by a descriptor and a drain.
//!
//! What is drained is lent: it stays with the subscription until the next drain, so that nothing is copied.

use std::ffi::c_char;
use std::mem::offset_of;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use super::check::{self, Failure, Out};
use super::status::{TalkpathStatus, guard};
use crate::system::bus::{Bus, Delivery, Filter, Options, Payload, Policy, Subscription};
use crate::{Error, ErrorKind};

/// The publisher waits for room: nothing is lost, and a reader that stops reading stops publishers.
pub const TALKPATH_POLICY_LOSSLESS: i32 = 0;
/// The oldest events make room; a gap says exactly which.
pub const TALKPATH_POLICY_DROP_OLDEST: i32 = 1;
/// Of each session and kind only the newest event is kept.
pub const TALKPATH_POLICY_CONFLATE: i32 = 2;

/// What an event carries: a text in UTF-8 that is JSON.
pub const TALKPATH_PAYLOAD_JSON: i32 = 0;
/// What an event carries: any bytes.
pub const TALKPATH_PAYLOAD_BYTES: i32 = 1;

/// What was drained: an event.
pub const TALKPATH_DELIVERY_EVENT: i32 = 0;
/// What was drained: a gap. `count` events of `session` were dropped, the first `sequence`, the last `last_sequence`; without
/// a session, so many of other sessions.
pub const TALKPATH_DELIVERY_GAP: i32 = 1;

/// An event bus. Its functions, but for freeing it, may be called from any thread at any time.
pub struct TalkpathBus {
    bus: Bus,
}

impl TalkpathBus {
    /// The bus itself, for what publishes to it.
    pub(super) fn core(&self) -> &Bus {
        &self.bus
    }
}

/// A subscription to a bus. It may outlive the bus, and then ends.
pub struct TalkpathSubscription {
    subscription: Subscription,
    /// What the last drain lent, and JSON that was made for it.
    drained: Vec<Delivery>,
    made: Vec<String>,
}

/// What can be set of a subscription; 0 is the default, but of `policy`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathSubscriptionConfig {
    /// The size of this structure, as the program knows it.
    pub size: usize,
    /// How many events may wait (8,192).
    pub capacity: usize,
    /// How many bytes they may count for (8 MiB).
    pub capacity_bytes: usize,
    /// What happens when the queue is full: one of `TALKPATH_POLICY_…`.
    pub policy: i32,
}

/// An event, or a gap where events were dropped. Texts are UTF-8 and not ended by a zero byte; all that it leads to stays
/// until the subscription is drained again or freed.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct TalkpathBusEvent {
    /// One of `TALKPATH_DELIVERY_…`.
    pub delivery: i32,
    /// One of `TALKPATH_PAYLOAD_…`.
    pub payload_type: i32,
    /// Its number among the events of its session: 1, 2, 3 and so on.
    pub sequence: u64,
    /// Of a gap: the number of the last event that was dropped.
    pub last_sequence: u64,
    /// Of a gap: how many events were dropped.
    pub count: u64,
    /// When, in microseconds since 1970.
    pub time_us: u64,
    /// Whose event it is.
    pub session: *const c_char,
    /// How many bytes `session` has.
    pub session_len: usize,
    /// What happened, as `area:what`.
    pub kind: *const c_char,
    /// How many bytes `kind` has.
    pub kind_len: usize,
    /// What there is to say about it.
    pub payload: *const u8,
    /// How many bytes `payload` has.
    pub payload_len: usize,
}

/// Makes a bus and hands it over in `bus`. Free it by [`talkpath_bus_free`].
///
/// It belongs to the process that made it: in a forked child its functions fail.
///
/// # Safety
/// `bus` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_bus_new(bus: *mut *mut TalkpathBus) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { Out::new("bus", bus) }?.give(TalkpathBus { bus: Bus::new() });
        Ok(())
    })
}

/// Publishes an event. `sequence` gets its number in its session; it may be NULL.
///
/// `session` and `kind` are names of 1 to 255 bytes; a kind is spelt `area:what`. `payload_type` is one of
/// `TALKPATH_PAYLOAD_…`; JSON is not checked, but must be UTF-8. With `may_wait` it waits up to five seconds while a subscriber
/// that loses nothing has no room (`TALKPATH_STATUS_TIMEOUT`), without it fails at once (`TALKPATH_STATUS_LIMIT_EXCEEDED`):
/// then nobody has got the event. Any thread may call it at any time.
///
/// # Safety
/// `bus` must come from [`talkpath_bus_new`]; `session` and `kind` must lead to zero-ended texts; `payload` must be readable
/// for `payload_len` bytes; `sequence` must be writable, or NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_bus_publish(
    bus: *const TalkpathBus,
    session: *const c_char,
    kind: *const c_char,
    payload_type: i32,
    payload: *const u8,
    payload_len: usize,
    may_wait: bool,
    sequence: *mut u64,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (bus, session, kind, bytes) = unsafe {
            (
                check::object("bus", bus)?,
                check::text("session", session)?,
                check::text("kind", kind)?,
                check::slice("payload", payload, payload_len)?,
            )
        };
        let payload = match payload_type {
            TALKPATH_PAYLOAD_JSON => {
                let text = std::str::from_utf8(bytes)
                    .map_err(|error| Error::invalid(format!("a payload of json, wanted utf-8: {error}")))?;
                Payload::json(text)
            }
            TALKPATH_PAYLOAD_BYTES => Payload::bytes(bytes),
            other => return Err(Error::invalid(format!("payload_type {other}, wanted TALKPATH_PAYLOAD_…")).into()),
        };
        // SAFETY: as the caller promises.
        let sequence = if sequence.is_null() { None } else { Some(unsafe { Out::new("sequence", sequence) }?) };
        let published = if may_wait {
            bus.bus.publish(session, kind, payload)
        } else {
            bus.bus.try_publish(session, kind, payload)
        }?;
        if let Some(sequence) = sequence {
            sequence.set(published);
        }
        Ok(())
    })
}

/// Subscribes to the events whose session and kind match, from now on, and hands the subscription over in `subscription`.
/// Free it by [`talkpath_subscription_free`].
///
/// In `session` and `kind`, `*` stands for any run of characters and `?` for one. `config` may be NULL: the oldest events
/// make room when more than 8,192 wait. Any thread may call it at any time.
///
/// # Safety
/// `bus` must come from [`talkpath_bus_new`]; `session` and `kind` must lead to zero-ended texts; `config` must be readable,
/// or NULL; `subscription` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_bus_subscribe(
    bus: *const TalkpathBus,
    session: *const c_char,
    kind: *const c_char,
    config: *const TalkpathSubscriptionConfig,
    subscription: *mut *mut TalkpathSubscription,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (bus, session, kind, options, out) = unsafe {
            (
                check::object("bus", bus)?,
                check::text("session", session)?,
                check::text("kind", kind)?,
                options_of(config)?,
                Out::new("subscription", subscription)?,
            )
        };
        let subscription = bus.bus.subscribe(Filter::new(session, kind)?, options)?;
        out.give(TalkpathSubscription { subscription, drained: Vec::new(), made: Vec::new() });
        Ok(())
    })
}

/// Frees the bus; NULL is nothing to free. Its subscriptions end once they are drained; free them, too.
///
/// # Safety
/// `bus` must come from [`talkpath_bus_new`] and not have been freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_bus_free(bus: *mut TalkpathBus) {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::free(bus) };
        Ok(())
    });
}

/// Writes the descriptor that is readable while there is something to drain, and for good once the subscription has ended;
/// only draining may read it.
///
/// # Safety
/// `subscription` must come from [`talkpath_bus_subscribe`], and no other call may be using it; `fd` must be writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_subscription_fd(
    subscription: *const TalkpathSubscription,
    fd: *mut i32,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (subscription, fd) = unsafe { (check::object("subscription", subscription)?, Out::new("fd", fd)?) };
        fd.set(subscription.subscription.fd()?.as_raw_fd());
        Ok(())
    })
}

/// Waits up to `timeout_ms` (-1: for ever) until there is something to drain; `TALKPATH_STATUS_EMPTY` if nothing came,
/// `TALKPATH_STATUS_SESSION_ENDED` once nothing will come any more.
///
/// # Safety
/// `subscription` must come from [`talkpath_bus_subscribe`], and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_subscription_wait(
    subscription: *const TalkpathSubscription,
    timeout_ms: i32,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let subscription = &unsafe { check::object("subscription", subscription) }?.subscription;
        let timeout = u64::try_from(timeout_ms).ok().map(Duration::from_millis);
        let has_news = subscription.wait(timeout)?;
        check_over(subscription)?;
        if has_news { Ok(()) } else { Err(Failure::Empty) }
    })
}

/// Writes what waits, at most `events_len` events and gaps, to `events`; `count` gets how many. It does not wait.
///
/// What they lead to is lent until the subscription is drained again or freed. `TALKPATH_STATUS_EMPTY` if nothing waits,
/// `TALKPATH_STATUS_SESSION_ENDED` once nothing will come any more.
///
/// # Safety
/// `subscription` must come from [`talkpath_bus_subscribe`], and no other call may be using it; `events` must be writable for
/// `events_len` items, `count` writable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_subscription_drain(
    subscription: *mut TalkpathSubscription,
    events: *mut TalkpathBusEvent,
    events_len: usize,
    count: *mut usize,
) -> TalkpathStatus {
    guard(|| {
        // SAFETY: as the caller promises.
        let (subscription, count) =
            unsafe { (check::object_mut("subscription", subscription)?, Out::new("count", count)?) };
        // Not read, as C need not have written it: a pointer to room, not to events.
        // SAFETY: as the caller promises.
        let events = unsafe { check::slice_mut("events", events.cast::<std::mem::MaybeUninit<_>>(), events_len)? };
        subscription.drained.clear();
        subscription.made.clear();
        check_over(&subscription.subscription)?;
        let drained = subscription.subscription.drain(events_len, &mut subscription.drained);
        if drained == 0 {
            return Err(Failure::Empty);
        }
        for (to, delivery) in events.iter_mut().zip(&subscription.drained) {
            to.write(lend(delivery, &mut subscription.made)?);
        }
        count.set(drained);
        Ok(())
    })
}

/// Ends the subscription and frees it; NULL is nothing to free.
///
/// # Safety
/// `subscription` must come from [`talkpath_bus_subscribe`] and not have been freed, and no other call may be using it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn talkpath_subscription_free(subscription: *mut TalkpathSubscription) {
    guard(|| {
        // SAFETY: as the caller promises.
        unsafe { check::free(subscription) };
        Ok(())
    });
}

fn check_over(subscription: &Subscription) -> check::Result<()> {
    if subscription.is_over() {
        return Err(Error::new(ErrorKind::SessionEnded, "the subscription has ended").into());
    }
    Ok(())
}

/// What C gets of a delivery, which stays where it is.
fn lend(delivery: &Delivery, made: &mut Vec<String>) -> check::Result<TalkpathBusEvent> {
    let nothing = TalkpathBusEvent {
        delivery: TALKPATH_DELIVERY_EVENT,
        payload_type: TALKPATH_PAYLOAD_JSON,
        sequence: 0,
        last_sequence: 0,
        count: 0,
        time_us: 0,
        session: std::ptr::null(),
        session_len: 0,
        kind: std::ptr::null(),
        kind_len: 0,
        payload: std::ptr::null(),
        payload_len: 0,
    };
    Ok(match delivery {
        Delivery::Event(event) => {
            let (payload_type, payload): (i32, &[u8]) = match &event.payload {
                Payload::Json(text) => (TALKPATH_PAYLOAD_JSON, text.as_bytes()),
                Payload::Bytes(bytes) => (TALKPATH_PAYLOAD_BYTES, bytes),
                Payload::Object(object) => {
                    // A string's bytes stay where they are when the list of strings grows.
                    made.push(object.to_json()?);
                    (TALKPATH_PAYLOAD_JSON, made.last().map_or(&[], |text| text.as_bytes()))
                }
            };
            TalkpathBusEvent {
                payload_type,
                sequence: event.sequence,
                time_us: event.time_us,
                session: event.session.as_ptr().cast(),
                session_len: event.session.len(),
                kind: event.kind.as_ptr().cast(),
                kind_len: event.kind.len(),
                payload: payload.as_ptr(),
                payload_len: payload.len(),
                ..nothing
            }
        }
        Delivery::Gap(gap) => TalkpathBusEvent {
            delivery: TALKPATH_DELIVERY_GAP,
            sequence: gap.first_sequence,
            last_sequence: gap.last_sequence,
            count: gap.count,
            session: gap.session.as_ref().map_or(std::ptr::null(), |session: &Arc<str>| session.as_ptr().cast()),
            session_len: gap.session.as_ref().map_or(0, |session| session.len()),
            ..nothing
        },
    })
}

/// # Safety
/// `config` must be readable for the size that it says it has; or it is NULL.
unsafe fn options_of(config: *const TalkpathSubscriptionConfig) -> check::Result<Options> {
    let defaults = Options::default();
    if config.is_null() {
        return Ok(defaults);
    }
    // SAFETY: the size comes first, and is readable as the caller promises.
    let size = unsafe { config.cast::<usize>().read() };
    if size < OLDEST {
        let wanted = size_of::<TalkpathSubscriptionConfig>();
        return Err(Error::invalid(format!(
            "config.size of {size}, wanted sizeof(TalkpathSubscriptionConfig), {wanted}"
        ))
        .into());
    }
    let mut known = TalkpathSubscriptionConfig { size, capacity: 0, capacity_bytes: 0, policy: 0 };
    let n = size.min(size_of::<TalkpathSubscriptionConfig>());
    // SAFETY: `config` is readable for `size` bytes as the caller promises, `known` is as long as what is copied.
    unsafe { std::ptr::copy_nonoverlapping(config.cast::<u8>(), (&raw mut known).cast::<u8>(), n) };
    let policy = match known.policy {
        TALKPATH_POLICY_LOSSLESS => Policy::Lossless,
        TALKPATH_POLICY_DROP_OLDEST => Policy::DropOldest,
        TALKPATH_POLICY_CONFLATE => Policy::Conflate,
        other => return Err(Error::invalid(format!("policy {other}, wanted TALKPATH_POLICY_…")).into()),
    };
    let or = |set: usize, default| if set == 0 { default } else { set };
    Ok(Options {
        policy,
        capacity: or(known.capacity, defaults.capacity),
        capacity_bytes: or(known.capacity_bytes, defaults.capacity_bytes),
        ..defaults
    })
}

/// How much of the structure the first version of the library had.
const OLDEST: usize = offset_of!(TalkpathSubscriptionConfig, policy) + size_of::<i32>();
