//! The curated state of a hub: which events change it and how, and that nothing makes it grow.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use serde_json::{Value, json};
use talkpath::channel::{Fault, MAX_AGENTS, MAX_ROWS, MAX_SUMMARY_CHARS, MAX_TASKS, Taken, View};

fn view_of(events: impl IntoIterator<Item = Value>) -> View {
    let mut view = View::new();
    for event in events {
        view.handle_event(&event);
    }
    view
}

#[test]
fn phases_tasks_and_agents_are_pinned() {
    let view = view_of([
        json!({"type": "session:start", "runId": "r", "ts": 1}),
        json!({"type": "phase:start", "phase": "plan", "ts": 2}),
        json!({"type": "agent:start", "agentId": "a", "name": "Ann", "role": "clerk", "ts": 3}),
        json!({"type": "task:start", "id": "t1", "label": "Look up", "ts": 4}),
        json!({"type": "task:complete", "id": "t1", "ts": 5}),
    ]);
    let state = view.state().to_json();
    assert_eq!(state["mode"], "push-to-talk");
    assert_eq!(state["run"], json!({"id": "r", "phase": "plan", "status": "running"}));
    assert_eq!(state["activeAgent"], json!({"id": "a", "name": "Ann", "role": "clerk"}));
    assert_eq!(state["agents"], json!([{"id": "a", "name": "Ann", "role": "clerk"}]));
    assert_eq!(state["tasks"], json!([{"id": "t1", "label": "Look up", "state": "done"}]));
    assert_eq!(state["recent"].as_array().unwrap().len(), 5);
    assert_eq!(state["recent"][3], json!({"ts": 4, "type": "task:start", "text": "Look up"}));
    assert_eq!(state["audio"], json!({"micLevel": 0, "spkLevel": 0}));
    assert_eq!(state["session"], json!({"connected": false, "responseInProgress": false}));
}

#[test]
fn a_run_pauses_resumes_ends_and_starts_anew() {
    let mut view = view_of([
        json!({"type": "session:start", "runId": "r", "ts": 1}),
        json!({"type": "phase:start", "phase": "plan", "ts": 2}),
        json!({"type": "task:pending", "id": "t", "ts": 3}),
    ]);
    for (event, status) in [("pause", "paused"), ("resume", "running"), ("end", "idle"), ("start", "running")] {
        view.handle_event(&json!({"type": format!("session:{event}"), "runId": "s", "ts": 4}));
        assert_eq!(view.state().to_json()["run"]["status"], status, "{event}");
    }
    assert_eq!(view.state().to_json()["run"], json!({"id": "s", "phase": null, "status": "running"}));
    assert!(view.state().tasks.is_empty());
}

#[test]
fn only_the_active_agents_own_end_clears_it() {
    let start = |id: &str| json!({"type": "agent:start", "agentId": id, "ts": 1});
    let complete = |id: &str| json!({"type": "agent:complete", "agentId": id, "ts": 2});
    let mut view = view_of([start("a"), start("b"), complete("a")]);
    assert_eq!(view.state().active_agent.as_ref().unwrap().id, "b");
    view.handle_event(&complete("b"));
    assert_eq!(view.state().active_agent, None);
    assert_eq!(view.state().to_json()["agents"][0], json!({"id": "a", "name": "a", "status": "done"}));
}

#[test]
fn words_are_kept_by_who_said_them_and_clipped() {
    let long = "ä".repeat(400);
    let view = view_of([
        json!({"type": "voice:transcript", "text": "hello", "ts": 1}),
        json!({"type": "agent:text", "agentId": "a", "text": "hi", "ts": 2}),
        json!({"type": "voice:assistant_text", "text": long, "ts": 3}),
    ]);
    assert_eq!(view.state().last_user_utterance.as_deref(), Some("hello"));
    let said = view.state().last_agent_utterance.as_deref().unwrap();
    assert_eq!((said.chars().count(), said.chars().last()), (280, Some('…')));
}

#[test]
fn levels_move_gauges_within_the_scale_and_are_no_rows() {
    let mut view = View::new();
    assert_eq!(view.handle_event(&json!({"type": "voice:mic_level", "level": 250, "ts": 7})), Taken::Gauge);
    assert_eq!(view.handle_event(&json!({"type": "voice:spk_level", "level": -3, "ts": 8})), Taken::Gauge);
    assert_eq!(view.state().to_json()["audio"], json!({"micLevel": 100, "spkLevel": 0, "lastPacketAt": 8}));
    assert!(view.state().recent.is_empty());
}

#[test]
fn audio_noise_and_strangers_are_counted_only() {
    let mut view = View::new();
    let kinds = ["voice:assistant_audio", "voice:event", "transport:ping", "heartbeat", "session:heartbeat", "weather"];
    for kind in kinds {
        assert_eq!(view.handle_event(&json!({"type": kind, "ts": 1})), Taken::Ignored, "{kind}");
    }
    for nonsense in [json!(null), json!([1]), json!("task:start"), json!({"type": 7}), json!({})] {
        assert_eq!(view.handle_event(&nonsense), Taken::Ignored);
    }
    assert_eq!(view.ignored(), 11);
    assert_eq!(view.state(), View::new().state());
}

#[test]
fn a_status_that_changes_nothing_is_dropped() {
    let status = |text: &str, ts: u64| json!({"type": "agent:status", "agentId": "a", "status": text, "ts": ts});
    let mut view = View::new();
    assert_eq!(view.handle_event(&status("busy", 1)), Taken::Kept);
    assert_eq!(view.handle_event(&status("busy", 60_000)), Taken::Unchanged);
    assert_eq!(view.handle_event(&status("idle", 60_001)), Taken::Kept);
    assert_eq!(view.handle_event(&status("busy", 60_002)), Taken::Kept);
    assert_eq!(view.state().recent.len(), 3);
}

#[test]
fn the_same_thing_counts_up_within_two_seconds_and_is_a_row_after() {
    let notice = |ts: u64| json!({"type": "voice:notice", "message": "nothing to commit", "ts": ts});
    let view = view_of([notice(0), json!({"type": "phase:start", "phase": "x", "ts": 900}), notice(2_000)]);
    assert_eq!(view.state().to_json()["recent"][0]["n"], 2);
    let view = view_of([notice(0), notice(2_001)]);
    assert_eq!(view.state().recent.len(), 2);
}

#[test]
fn a_run_of_thinking_is_one_row() {
    let think = |agent: &str, n: u64| json!({"type": "agent:thinking", "agentId": agent, "text": format!("t{n}"), "ts": n * 5_000});
    let mut view = view_of((0..30).map(|n| think("a", n)));
    assert_eq!(
        view.state().to_json()["recent"],
        json!([{"ts": 145_000, "type": "agent:thinking", "text": "t29", "n": 30}])
    );
    view.handle_event(&think("b", 30));
    assert_eq!(view.state().recent.len(), 2);
}

#[test]
fn finished_tasks_give_way_first_then_the_oldest() {
    let start = |id: &str, ts: u64| json!({"type": "task:start", "id": id, "ts": ts});
    let mut view = view_of([start("keep", 0)].into_iter().chain((0..60).map(|n| start(&format!("t{n}"), 10 + n))));
    view.handle_event(&json!({"type": "task:complete", "id": "t59", "ts": 9_000}));
    view.handle_event(&start("new", 9_001));
    let ids: Vec<&str> = view.state().tasks.iter().map(|task| task.id.as_str()).collect();
    let wanted: Vec<String> = (10..59).map(|n| format!("t{n}")).chain(["new".into()]).collect();
    assert_eq!(ids, wanted);
}

#[test]
fn what_falls_out_is_summed_up() {
    let mut view = view_of([
        json!({"type": "phase:start", "phase": "plan", "ts": 0}),
        json!({"type": "task:start", "id": "t", "label": "Find the invoice", "ts": 1}),
        json!({"type": "voice:transcript", "text": "where is my invoice", "ts": 2}),
        json!({"type": "task:complete", "id": "t", "ts": 3}),
        json!({"type": "voice:error", "message": "no microphone", "ts": 4}),
    ]);
    assert_eq!(view.state().summary, None);
    for n in 0..50 {
        view.handle_event(&json!({"type": "agent:text", "text": format!("line {n}"), "ts": 10_000 + n * 5_000}));
    }
    assert_eq!(view.evicted(), 5);
    assert_eq!(
        view.state().summary.as_deref(),
        Some("5 earlier events. Errors: 1. Phases: plan. Done: Find the invoice. User: where is my invoice.")
    );
    assert_eq!(view.state().run.phase.as_deref(), Some("plan"), "pinned");
    view.set_summary("The invoice was found.");
    assert_eq!(view.state().to_json()["summary"], "The invoice was found.");
}

#[test]
fn the_provider_going_away_ends_what_was_under_way() {
    let mut view = View::new();
    view.set_connected(true);
    view.set_response_in_progress(true);
    view.set_fault(Fault {
        code: Some("unknown_parameter".into()),
        param: Some("session.x".into()),
        ..Fault::default()
    });
    view.set_connected(false);
    let wanted = json!({
        "connected": false, "responseInProgress": false,
        "lastError": {"code": "unknown_parameter", "param": "session.x"}
    });
    assert_eq!(view.state().to_json()["session"], wanted);
}

fn any_event() -> impl Strategy<Value = Value> {
    let kind = prop_oneof![
        "(session|phase|task|agent|voice):(start|end|pending|complete|text|thinking|status|error|transcript|mic_level|notice)",
        "[a-z]{1,9}:[a-z_]{1,9}",
    ];
    let word = prop_oneof!["[a-z]{0,3}", "[a-zä ]{0,400}"];
    (kind, prop::collection::vec(word, 3), any::<u64>(), any::<i32>()).prop_map(|(kind, words, ts, level)| {
        json!({
            "type": kind, "ts": ts, "id": words[0], "agentId": words[0], "runId": words[1], "label": words[1],
            "phase": words[1], "name": words[2], "text": words[2], "message": words[2], "status": words[1],
            "level": level, "error": {"code": words[0], "message": words[2]},
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_a_hub_says_the_state_stays_small(events in prop::collection::vec(any_event(), 0..200)) {
        let mut view = View::new();
        let (mut kept, mut ignored) = (0, 0);
        for event in &events {
            match view.handle_event(event) {
                Taken::Ignored => ignored += 1,
                Taken::Kept => kept += 1,
                Taken::Gauge | Taken::Unchanged => {}
            }
            let state = view.state();
            prop_assert!(state.recent.len() <= MAX_ROWS && state.tasks.len() <= MAX_TASKS);
            prop_assert!(state.agents.len() <= MAX_AGENTS && state.audio.mic_level <= 100);
            prop_assert!(state.summary.as_deref().unwrap_or_default().chars().count() <= MAX_SUMMARY_CHARS);
        }
        prop_assert_eq!(view.ignored(), ignored);
        let counted: u64 = view.state().recent.iter().map(|row| u64::from(row.count)).sum();
        prop_assert!(counted + view.evicted() <= kept, "{} + {} > {}", counted, view.evicted(), kept);
        prop_assert!(view.state().to_json().to_string().len() < 200_000);
    }
}
