//! One gather is one trace, over all processes, as a collector gets it. Needs a program with the feature `otlp`, which
//! `APPORTION_EXE` names: `deploy/faults` has one.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message;
use proto::ids::Generation;
use proto::line::Measure;
use proto::trace::Trace;
use tests::http::{Answer, HttpServer};
use tests::stand::Stand;
use tests::{program, world};

/// A span as it came: its process, name, trace, parent (empty: none) and tenant.
struct Told {
    role: String,
    name: String,
    trace: Vec<u8>,
    parent: Vec<u8>,
    tenant: String,
}

#[test]
fn a_gather_is_one_trace_over_all_processes() {
    let collector = HttpServer::start(|_| Answer::Status(200, None)).expect("a free port");
    let stand = Stand::new("traces");
    stand.write("tenants/acme.yaml", world::tenant("USD", "bill.csv", Measure::Effective));
    let first = "2025-05-01".parse().expect("a date");
    stand.write("bill.csv", world::csv(&world::bill(5, "USD", first, 3, 8)));
    let run = Command::new(program::apportion())
        .args(["run", "--once", "--config"])
        .arg(stand.config())
        .arg("--data-dir")
        .arg(stand.data())
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .output()
        .expect("the program starts");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));

    let (mut told, mut ids) = (Vec::new(), BTreeSet::new());
    for asked in collector.asked() {
        assert_eq!(asked.path, "/v1/traces");
        let request = ExportTraceServiceRequest::decode(asked.body.as_slice()).expect("OTLP");
        for of in request.resource_spans {
            let role = of.resource.map(|resource| text(&resource.attributes, "service.name"));
            let role = role.unwrap_or_default();
            for span in of.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                assert!(ids.insert(span.span_id.clone()), "a span came twice: {span:?}");
                let tenant = text(&span.attributes, "apportion.tenant");
                let (trace, parent) = (span.trace_id, span.parent_span_id);
                told.push(Told { role: role.clone(), name: span.name, trace, parent, tenant });
            }
        }
    }
    let (tenant, source) = ("acme".parse().expect("an id"), "cloud".parse().expect("an id"));
    // The first generation of an empty database is the gather's.
    let trace = Trace::of_gather(&tenant, &source, Generation(1));
    let mut steps = BTreeMap::<&str, BTreeSet<&str>>::new();
    for span in &told {
        assert_eq!(span.trace, trace.id, "{} of {}", span.name, span.role);
        assert_eq!(span.tenant, "acme", "{} of {}", span.name, span.role);
        // Every parent was told of: the root has none.
        assert_eq!(
            span.parent.is_empty(),
            span.name == "gather",
            "{} {:?}",
            span.name,
            span.parent
        );
        assert!(span.parent.is_empty() || ids.contains(&span.parent), "{}", span.name);
        steps.entry(&span.role).or_default().insert(&span.name);
    }
    let steps: Vec<(&str, Vec<&str>)> =
        steps.into_iter().map(|(role, names)| (role, names.into_iter().collect())).collect();
    assert_eq!(
        steps,
        [
            ("apportion-allocator", vec!["do allocate"]),
            ("apportion-coordinator", vec!["apply a report", "gather"]),
            ("apportion-emitter", vec!["do commit", "do emit-csv"]),
            ("apportion-gatherer", vec!["do gather"]),
        ]
    );
}

fn text(attributes: &[opentelemetry_proto::tonic::common::v1::KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|found| found.value.as_ref()?.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        _ => String::new(),
    }
}
