//! `--hgrm`: the latencies in the text form that the HDR histogram's plotters read.

use std::fmt::Write;

use hdrhistogram::Histogram;

/// Lines from one halving of the distance to 100 % to the next.
const TICKS: u32 = 5;
/// Values are told in milliseconds.
const UNIT: f64 = 1_000_000.0;

/// The percentile distribution, as `HistogramLogProcessor` writes it; values in milliseconds.
#[expect(clippy::cast_precision_loss, reason = "told to three digits")]
pub(super) fn text(latency: &Histogram<u64>) -> String {
    let mut text =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    let mut count = 0;
    for value in latency.iter_quantiles(TICKS) {
        count += value.count_since_last_iteration();
        let (at, quantile) = (value.value_iterated_to() as f64 / UNIT, value.quantile_iterated_to());
        let _ = if quantile < 1.0 {
            writeln!(text, "{at:>12.3} {quantile:>2.12} {count:>10} {:>14.2}", 1.0 / (1.0 - quantile))
        } else {
            writeln!(text, "{at:>12.3} {quantile:>2.12} {count:>10} {:>14}", "inf")
        };
    }
    let (mean, deviation) = (latency.mean() / UNIT, latency.stdev() / UNIT);
    let _ = writeln!(text, "#[Mean    = {mean:>12.3}, StdDeviation   = {deviation:>12.3}]");
    let (max, total) = (latency.max() as f64 / UNIT, latency.len());
    let _ = writeln!(text, "#[Max     = {max:>12.3}, Total count    = {total:>12}]");
    // What `new_with_bounds` made of three digits: 2,048 values that are told apart in each doubling.
    let buckets = (latency.high() as f64 / 2048.0).log2().ceil().max(0.0) + 1.0;
    let _ = writeln!(text, "#[Buckets = {buckets:>12}, SubBuckets     = {:>12}]", 2048);
    text
}
