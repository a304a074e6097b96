//! What ended in the last hours, as bars: done, repeated, dead.

use crate::web::parts;
use crate::web::visitor::Operator;
use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};
use std::time::Duration;
use tuberry_jobs::queue::pages::Throughput;

/// Spans in one chart; the first one is cut by its begin.
const SPANS: u32 = 60;

/// Height of the drawing, in its own units; the stylesheet says how large it is on the page.
const HEIGHT: f64 = 100.0;

/// Begin of the spans that PostgreSQL counts by (`date_bin`): 2000-01-01.
const ORIGIN: i64 = 946_684_800;

/// What a chart of so many hours asks for.
pub(super) fn window(hours: u32) -> (DateTime<Utc>, Duration) {
    (Utc::now() - TimeDelta::hours(i64::from(hours)), Duration::from_secs(u64::from(hours) * 3600) / SPANS)
}

#[derive(Clone, Copy, Default)]
struct Bar {
    done: u64,
    retried: u64,
    dead: u64,
}

impl Bar {
    fn add(&mut self, span: &Throughput) {
        self.done += span.done;
        self.retried += span.retried + span.lost;
        self.dead += span.dead;
    }

    fn total(self) -> u64 {
        self.done + self.retried + self.dead
    }
}

fn bars(throughput: &[Throughput], since: DateTime<Utc>, span: Duration) -> Vec<Bar> {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(1).max(1);
    let number = |at: DateTime<Utc>| (at.timestamp() - ORIGIN).div_euclid(seconds);
    let mut bars = vec![Bar::default(); SPANS as usize + 1];
    for span in throughput {
        let place = usize::try_from(number(span.from) - number(since)).ok();
        if let Some(bar) = place.and_then(|place| bars.get_mut(place)) {
            bar.add(span);
        }
    }
    bars
}

/// The chart of the spans, all kinds together. Of one tenant's jobs only the ends are counted, not the repetitions.
pub(super) fn chart(operator: &Operator, throughput: &[Throughput], since: DateTime<Utc>, span: Duration) -> Markup {
    let bars = bars(throughput, since, span);
    let most = bars.iter().map(|bar| bar.total()).max().unwrap_or(0);
    let mut sum = Bar::default();
    throughput.iter().for_each(|span| sum.add(span));
    let (visitor, repetitions) = (&operator.visitor, operator.client.is_none());
    let text = |id: &str| visitor.text(id);
    let summary = visitor
        .language
        .text_with("chart-summary", &[("done", sum.done.into()), ("retried", sum.retried.into()), ("dead", sum.dead.into())]);
    html! {
        @if most == 0 { p.muted { (text("chart-empty")) } }
        @else {
            p.muted.small { (visitor.language.text_with("chart-most", &[("count", most.into()), ("minutes", (span.as_secs() / 60).into())])) }
            svg.chart.bars viewBox={ "0 0 " (bars.len() * 10) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(summary) {
                @for (place, bar) in bars.iter().enumerate().filter(|(_, bar)| bar.total() > 0) { (column(place, *bar, most)) }
                line.axis x1="0" x2=(bars.len() * 10) y1=(HEIGHT) y2=(HEIGHT) {}
            }
            div.row.spread.muted.small { (parts::exact(since)) span { (text("now")) } }
            ul.row.legend {
                li { span.dot.done {} (text("chart-done")) ": " (sum.done) }
                @if repetitions { li { span.dot.retried {} (text("chart-retried")) ": " (sum.retried) } }
                li { span.dot.dead {} (text("chart-dead")) ": " (sum.dead) }
            }
        }
    }
}

/// One bar; what failed can be seen beside thousands that did not.
fn column(place: usize, bar: Bar, most: u64) -> Markup {
    let height = |count: u64| if count == 0 { 0.0 } else { (count as f64 / most as f64 * HEIGHT).max(2.0) };
    let mut top = HEIGHT;
    let parts = [("dead", bar.dead), ("retried", bar.retried), ("done", bar.done)].map(|(name, count)| {
        let height = height(count).min(top);
        top -= height;
        (name, top, height)
    });
    html! {
        @for (name, top, height) in parts.into_iter().filter(|(_, _, height)| *height > 0.0) {
            rect class=(name) x=(place * 10 + 1) width="8" y=(format!("{top:.1}")) height=(format!("{height:.1}")) {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(from: DateTime<Utc>, done: u64, dead: u64) -> Throughput {
        Throughput { kind: "send-reply".into(), from, done, retried: 0, snoozed: 0, dead, lost: 0 }
    }

    #[test]
    fn every_span_has_its_place() {
        let span = Duration::from_secs(60);
        let since = DateTime::from_timestamp(ORIGIN + 30, 0).unwrap();
        let at = |minute: i64| DateTime::from_timestamp(ORIGIN + minute * 60, 0).unwrap();
        let bars = bars(&[ended(at(0), 1, 0), ended(at(0), 2, 1), ended(at(60), 4, 0), ended(at(61), 8, 0)], since, span);
        assert_eq!((bars.len(), bars[0].done, bars[0].dead, bars[60].done), (61, 3, 1, 4));
        assert_eq!(bars.iter().map(|bar| bar.total()).sum::<u64>(), 8);
    }
}
