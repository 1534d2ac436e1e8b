//! `freeze`: a time in which nothing starts.

use crate::policy::case::Finding;
use crate::policy::known::Known;
use crate::policy::rule::{Ask, Rule};
use crate::stack::{Fields, Mistake, Site};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const RULE: Rule = Rule {
    name: "freeze",
    about: "lets everything that `when` matches wait from one moment until just before another; a date is its midnight UTC",
    read,
    keys,
    needs: &["from", "to"],
    example: "{ rule: freeze, from: 2026-12-20, to: 2027-01-04, reason: end of the year }",
};

fn read(fields: &mut Fields<'_>, site: &Site, _known: &Known<'_>) -> Option<Ask> {
    let (from, to) = (moment(fields, "from"), moment(fields, "to"));
    let reason = fields.text("reason").map(str::trim).filter(|reason| !reason.is_empty());
    let (from, to) = (from?, to?);
    if from >= to {
        fields.mistakes().push(Mistake::at(site, "this freeze ends before it begins").hint("\"to\" must be later than \"from\""));
    }
    let until = to.strftime("%Y-%m-%d %H:%M UTC");
    let sentence = match reason {
        Some(reason) => format!("frozen until {until}: {reason}"),
        None => format!("frozen until {until}"),
    };
    let open = from.as_millisecond()..to.as_millisecond();
    Some(Arc::new(move |case| {
        // A moment that no calendar knows is inside every freeze: what is undefined means no.
        let frozen = i64::try_from(case.now_ms).map_or(true, |now_ms| open.contains(&now_ms));
        if frozen { Finding::Wait(sentence.clone()) } else { Finding::Silent }
    }))
}

fn moment(fields: &mut Fields<'_>, key: &'static str) -> Option<Timestamp> {
    const DATE: usize = "2026-12-20".len(); // a longer text would lose its time of day if read as a date
    let node = fields.need(key, if key == "from" { "from: 2026-12-20" } else { "to: 2027-01-02" })?;
    let text = fields.text(key)?;
    let read = match text.parse::<Date>() {
        Ok(date) if text.len() == DATE => date.to_zoned(TimeZone::UTC).map(|zoned| zoned.timestamp()),
        _ => text.parse::<Timestamp>(),
    };
    if read.is_err() {
        let what = format!("{key:?} must be a date or a moment with its offset, and {text:?} is neither");
        fields.mistakes().push(Mistake::at(&node.site, what).hint("write 2026-12-20 or 2026-12-20T18:00:00Z"));
    }
    read.ok()
}

fn keys() -> Value {
    let moment = |about: &str, example: &str| {
        let about = format!("{about}: a date (its midnight UTC) or an RFC 3339 moment.");
        json!({ "description": about, "examples": [example], "type": "string" })
    };
    json!({
        "from": moment("The first moment of the freeze", "2026-12-20"),
        "to": moment("The first moment after it", "2027-01-04T08:00:00Z"),
        "reason": { "description": "Why, for those who wait.", "examples": ["end of the year"], "type": "string" },
    })
}

#[cfg(test)]
mod tests {
    use crate::policy::testing::{Stage, mistakes};
    use jiff::Timestamp;
    use serde_json::{Value, json};

    const FROZEN: &str = "wait: frozen until 2027-01-04 00:00 UTC: holidays";
    const CLEAR: &str = "clear: no rule asks for an approval of this";

    fn said(rule: Value, now: &str) -> String {
        let mut rule = rule;
        rule["rule"] = "freeze".into();
        let mut stage = Stage::of(json!([rule]));
        stage.updates("network@prod/eu-west-1", &["a"]);
        stage.now_ms = now.parse::<Timestamp>().expect("a moment").as_millisecond() as u64;
        stage.said()
    }

    #[test]
    fn from_is_inside_and_to_is_not() {
        let rule = json!({ "from": "2026-12-20", "to": "2027-01-04", "reason": "holidays" });
        assert_eq!(said(rule.clone(), "2026-12-19T23:59:59.999Z"), CLEAR);
        assert_eq!(said(rule.clone(), "2026-12-20T00:00:00Z"), FROZEN);
        assert_eq!(said(rule.clone(), "2027-01-03T23:59:59.999Z"), FROZEN);
        assert_eq!(said(rule, "2027-01-04T00:00:00Z"), CLEAR);
    }

    #[test]
    fn an_offset_is_counted() {
        let rule = json!({ "from": "2026-12-20T18:00:00+02:00", "to": "2026-12-20T20:00:00+02:00" });
        assert_eq!(said(rule.clone(), "2026-12-20T15:59:59Z"), CLEAR);
        assert_eq!(said(rule, "2026-12-20T16:00:00Z"), "wait: frozen until 2026-12-20 18:00 UTC");
    }

    #[test]
    fn a_freeze_holds_only_what_it_matches() {
        let rule = json!({ "from": "2026-12-20", "to": "2027-01-04", "when": { "environment": "staging" } });
        assert_eq!(said(rule, "2026-12-24T00:00:00Z"), CLEAR);
    }

    #[test]
    fn a_moment_that_no_calendar_knows_is_frozen() {
        let mut stage = Stage::of(json!([{ "rule": "freeze", "from": "2026-12-20", "to": "2027-01-04" }]));
        stage.updates("network@prod/eu-west-1", &["a"]);
        stage.now_ms = u64::MAX;
        assert_eq!(stage.said(), "wait: frozen until 2027-01-04 00:00 UTC");
    }

    #[test]
    fn times_without_meaning_are_mistakes() {
        for (from, to, told) in [
            ("2026-12-20", "2026-12-20", "ends before it begins"),
            ("2026-12-20T10:00:00", "2026-12-21", "must be a date or a moment with its offset"),
            ("tomorrow", "2026-12-21", "must be a date or a moment with its offset"),
            ("2026-02-30", "2026-12-21", "must be a date or a moment with its offset"),
        ] {
            let said = mistakes(&json!([{ "rule": "freeze", "from": from, "to": to }]));
            assert!(said.len() == 1 && said[0].contains(told), "{from}: {said:?}");
        }
        assert_eq!(mistakes(&json!([{ "rule": "freeze" }])).len(), 2);
    }
}
