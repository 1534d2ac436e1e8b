//! The report as JSON, with a published schema. Keys are only ever added; an absent value is left out, never null.

mod failure;
mod forecast;
mod report;
mod status;

use super::{Forecast, Report, Status};
use crate::stack::Mistakes;
use failure::FailureJson;
use forecast::ForecastJson;
use report::ReportJson;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};
use status::StatusJson;

/// Identifies the schema of reports, statuses, forecasts and failures.
pub const SCHEMA_ID: &str = "urn:isobar:schema:report:v1";

/// Returns the id of a form of JSON: of what `isobar <verb> --json` prints.
pub fn schema_id(form: &str) -> String {
    format!("urn:isobar:schema:{form}:v1")
}

/// Returns the report as JSON; prefer [`report_json_text`] for printing, which needs less memory.
pub fn report_json(report: &Report) -> Value {
    serde_json::to_value(ReportJson::of(report)).expect("the keys of a report are texts")
}

/// Returns the report as compact JSON text.
pub fn report_json_text(report: &Report) -> String {
    serde_json::to_string(&ReportJson::of(report)).expect("the keys of a report are texts")
}

/// Returns the status as JSON.
pub fn status_json(status: &Status) -> Value {
    serde_json::to_value(StatusJson::of(status)).expect("the keys of a status are texts")
}

/// Returns a forecast as JSON.
pub fn forecast_json(forecast: &Forecast) -> Value {
    serde_json::to_value(ForecastJson::of(forecast)).expect("the keys of a forecast are texts")
}

/// Returns a failure as JSON: the exit code, what could not be done, the next step, and every mistake in a definition.
pub fn failure_json(code: u8, what: &str, hint: Option<&str>, mistakes: &Mistakes) -> Value {
    serde_json::to_value(FailureJson::of(code, what, hint, mistakes)).expect("the keys of a failure are texts")
}

/// Returns the JSON Schema of reports, statuses, forecasts and failures.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let report = generator.subschema_for::<ReportJson<'_>>();
    let status = generator.subschema_for::<StatusJson<'_>>();
    let forecast = generator.subschema_for::<ForecastJson<'_>>();
    let failure = generator.subschema_for::<FailureJson<'_>>();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "What isobar --json prints",
        "oneOf": [report, status, forecast, failure],
        "$defs": generator.take_definitions(true),
    })
}

#[cfg(test)]
mod tests {
    use super::super::{RowState, Told, sample};
    use super::*;
    use crate::change::Action;
    use crate::stack::{Mistake, Site};

    #[test]
    fn every_report_and_status_keeps_to_the_schema_and_says_so() {
        let schema = schema();
        let validator = jsonschema::validator_for(&schema).expect("the schema is one");
        let reports = sample::situations().into_iter().map(|(name, report)| (name, report_json(&report)));
        for (name, json) in reports.chain([("status", status_json(&sample::status()))]) {
            let errors: Vec<_> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{name}: {errors:?}");
            assert_eq!(json["schema"], SCHEMA_ID, "{name}");
        }
        assert!(!validator.is_valid(&json!({ "schema": SCHEMA_ID, "told": "preview" })));
        assert_eq!(schema_id("report"), SCHEMA_ID);
    }

    #[test]
    fn a_failure_tells_every_mistake_with_its_place() {
        let mut mistakes = Mistakes::default();
        mistakes.push(Mistake::at(&Site::new("isobar.yaml", 3, 5), "unknown region \"prod/x\"").hint("did you mean \"prod/a\"?"));
        mistakes.push(Mistake::nowhere("no isobar.yaml"));
        let json = failure_json(65, "2 mistakes in the definitions", None, &mistakes);
        let expected = json!({
            "schema": SCHEMA_ID, "told": "failure", "code": 65, "what": "2 mistakes in the definitions",
            "mistakes": [
                { "file": "isobar.yaml", "line": 3, "column": 5, "what": "unknown region \"prod/x\"", "hint": "did you mean \"prod/a\"?" },
                { "what": "no isobar.yaml" },
            ],
        });
        assert_eq!(json, expected);
        let validator = jsonschema::validator_for(&schema()).expect("the schema is one");
        for json in [json, failure_json(1, "no repository", Some("git init"), &Mistakes::default())] {
            assert!(validator.is_valid(&json), "{json}");
        }
    }

    #[test]
    fn every_key_is_documented() {
        let schema = schema();
        let definitions = schema["$defs"].as_object().expect("there are definitions");
        for (name, definition) in definitions {
            for (key, property) in definition["properties"].as_object().expect("each is an object") {
                assert!(property["description"].is_string(), "{name}.{key}");
            }
        }
        assert!(definitions.len() > 10);
    }

    #[test]
    fn text_and_value_are_the_same_report() {
        let report = sample::groups();
        assert_eq!(serde_json::from_str::<Value>(&report_json_text(&report)).ok(), Some(report_json(&report)));
    }

    #[test]
    fn a_target_tells_its_digest_and_changes() {
        let report = sample::report(
            Told::Preview,
            vec![sample::row("dns@prod/a-1", RowState::Changes, vec![sample::change(Action::Create, "zone.yaml", &["+x"])])],
        );
        let digest = report.rows[0].preview.as_ref().map(|preview| preview.digest().to_string());
        let json = report_json(&report);
        assert_eq!(json["targets"][0]["digest"].as_str(), digest.as_deref());
        assert_eq!(json["counts"], json!({ "change": 1, "create": 1, "targets": 1 }));
        assert_eq!(json["groups"][0]["diffs"], json!({ "zone.yaml": ["@@ -0,0 +1 @@", "+x"] }));
    }
}
