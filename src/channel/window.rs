//! The window of recent rows: the last fifty, with repetitions counted instead of repeated.

use std::collections::VecDeque;

use super::state::Row;

/// How many rows are shown at most.
pub const MAX_ROWS: usize = 50;

/// Within what time the same thing said again counts up, in milliseconds.
const REPEAT_MS: u64 = 2_000;

/// Whether a `…:status` says what the newest of its kind and key said.
pub(super) fn changes_nothing(rows: &VecDeque<Row>, row: &Row) -> bool {
    row.kind.ends_with(":status")
        && rows
            .iter()
            .rev()
            .find(|other| other.kind == row.kind && other.key == row.key)
            .is_some_and(|other| other.text == row.text)
}

/// Adds a row, or counts up the one it repeats; answers the row that fell out, if one did.
pub(super) fn push(rows: &mut VecDeque<Row>, row: Row) -> Option<Row> {
    // One thought after the other is one row, which shows the newest.
    if let Some(last) = rows.back_mut()
        && row.kind == "agent:thinking"
        && (&last.kind, &last.key) == (&row.kind, &row.key)
    {
        *last = Row { count: last.count.saturating_add(1), ..row };
        return None;
    }
    let repeated = rows
        .iter_mut()
        .rev()
        .take_while(|other| row.ts.saturating_sub(other.ts) <= REPEAT_MS)
        .find(|other| (&other.kind, &other.key, &other.text) == (&row.kind, &row.key, &row.text));
    if let Some(other) = repeated {
        other.count = other.count.saturating_add(1);
        return None;
    }
    rows.push_back(row);
    if rows.len() > MAX_ROWS { rows.pop_front() } else { None }
}
