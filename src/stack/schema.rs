//! The JSON Schemas of `isobar.yaml` and `stack.yaml`, for editors and for the docs.

/// Returns the schema of `file`: `isobar` or `stack`.
pub fn json_schema(_file: &str) -> Option<serde_json::Value> {
    todo!()
}
