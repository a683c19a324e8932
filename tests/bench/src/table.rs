//! The result table.

use std::fmt::Write as _;

use crate::measure::Row;

pub fn of(rows: &[Row]) -> String {
    let mut text = String::from(
        "| | sync | requests/s | tasks/s | submit p50 / p99 | end to end p50 / p99 | alone p50 / p99 \
         | broker alone, requests/s | share | CPU s per 1,000 tasks | peak MiB | messages, log bytes \
         per request |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let pair = |a: f64, b: f64| format!("{a:.1} / {b:.1} ms");
        let by_process = |of: &[(&str, f64)], digits: usize| {
            let parts = of
                .iter()
                .map(|(name, value)| format!("{name} {value:.digits$}"));
            parts.collect::<Vec<_>>().join(", ")
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {:.0} | {:.0} | {} | {} | {} | {:.0} | {:.0} % | {} | {} | {:.1}, {:.0} |",
            row.workload,
            row.sync,
            row.requests_per_s,
            row.tasks_per_s,
            pair(row.submit_p50_ms, row.submit_p99_ms),
            pair(row.end_to_end_p50_ms, row.end_to_end_p99_ms),
            pair(row.alone_p50_ms, row.alone_p99_ms),
            row.raw_requests_per_s,
            row.share_of_raw * 100.0,
            by_process(&row.cpu_s_per_1000_tasks, 3),
            by_process(&row.peak_mib, 0),
            row.messages_per_request,
            row.log_bytes_per_request,
        );
    }
    text
}
