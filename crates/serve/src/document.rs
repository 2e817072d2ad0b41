//! The document of the interface in OpenAPI 3.1, made from the types that requests are read into and answers written from.

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use crate::error::ErrorResponse;
use crate::route::Route;

/// A document that is being put together.
#[derive(Debug)]
pub(crate) struct Document {
    paths: Map<String, Value>,
    schemas: SchemaGenerator,
}

impl Document {
    pub(crate) fn new() -> Document {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
        });
        let mut document = Document { paths: Map::new(), schemas: settings.into_generator() };
        let text = |summary: &str, kind: &str| {
            json!({ "get": {
                "summary": summary,
                "responses": { "200": { "description": "OK", "content": { kind: { "schema": {} } } } },
            } })
        };
        for (path, summary, kind) in [
            ("/info", "What the default bundle is", "application/json"),
            ("/models", "What all bundles are", "application/json"),
            ("/v1/models", "All bundles, as OpenAI lists its models", "application/json"),
            ("/health", "Whether texts are computed", "text/plain"),
            ("/metrics", "Counters in OpenMetrics text", "application/openmetrics-text"),
            ("/energy", "Joules and grams of a thousand inputs of each bundle", "application/json"),
        ] {
            document.paths.insert(path.to_owned(), text(summary, kind));
        }
        document
    }

    /// With a route, for the default bundle and for one by its name.
    pub(crate) fn with<R: Route>(mut self) -> Document {
        let content = |schema: Value| json!({ "application/json": { "schema": schema } });
        let request = content(self.schema::<R::Request>());
        let answer = content(self.schema::<R::Answer>());
        let refusal = content(self.schema::<ErrorResponse>());
        let error = |description: &str| json!({ "description": description, "content": refusal });
        let operation = json!({
            "summary": R::SUMMARY,
            "requestBody": { "required": true, "content": request },
            "responses": {
                "200": { "description": "The answer", "content": answer },
                "400": error("The body is not valid JSON, or there is no input"),
                "401": error("No key, or an unknown one"),
                "404": error("There is no bundle of this name"),
                "413": error("A body, a list or a text that is too long"),
                "422": error("JSON that does not fit, or a text that cannot be tokenized"),
                "424": error("The bundle cannot do this"),
                "429": error("Too many inputs wait, or the key asks too often; Retry-After says when to come back"),
                "503": error("The answer took too long, or nothing can be computed"),
            },
        });
        let parameter = json!([{ "name": "bundle", "in": "path", "required": true, "schema": { "type": "string" } }]);
        self.paths
            .insert(format!("/models/{{bundle}}{}", R::PATH), json!({ "parameters": parameter, "post": operation }));
        self.paths.insert(R::PATH.to_owned(), json!({ "post": operation }));
        self
    }

    /// A type's schema, or where it is found among the components.
    fn schema<T: JsonSchema>(&mut self) -> Value {
        self.schemas.subschema_for::<T>().to_value()
    }

    pub(crate) fn finish(mut self) -> Value {
        let schemas = self.schemas.take_definitions(true);
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "attar",
                "description": "Bundles over HTTP: the routes of text-embeddings-inference, OpenAI's embeddings, tags and answers",
                "version": env!("CARGO_PKG_VERSION"),
                "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            },
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
            },
            "security": [{}, { "key": [] }],
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::routes::document;

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document();
        let text = document.to_string();
        let names: Vec<&str> =
            text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(names.len() > 40, "{names:?}");
        for name in names {
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
        assert!(document["paths"]["/models/{bundle}/v1/embeddings"]["post"].is_object());
    }
}
