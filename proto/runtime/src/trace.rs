//! Spans of what a process does, for an OpenTelemetry collector. Without the feature `otlp` they are nothing.
//!
//! Whose trace it is travels in the NATS header `traceparent` (W3C Trace Context) of every message that is published
//! within a span or a trace. The standard variables set it up: `OTEL_EXPORTER_OTLP_ENDPOINT` says where spans go and
//! switches them on, `OTEL_RESOURCE_ATTRIBUTES` what they are of, `OTEL_TRACES_SAMPLER=traceidratio` with
//! `OTEL_TRACES_SAMPLER_ARG` which part of the traces: every process judges by the trace's id, and so alike. Samplers that
//! go by the parent leave out roots alone, for whoever sends a task does not know whether its root was taken.

#[cfg(not(feature = "otlp"))]
pub use idle::{Span, Traces, headers, root, start, within};
#[cfg(feature = "otlp")]
pub use otlp::{Span, Traces, headers, root, start, within};

#[cfg(not(feature = "otlp"))]
mod idle {
    use std::future::Future;

    use async_nats::HeaderMap;
    use proto::envelope::Header;
    use proto::trace::Trace;

    /// What sends spans until the process ends.
    #[derive(Debug)]
    pub struct Traces;

    /// Starts to send spans, if that is asked for.
    #[must_use]
    pub fn start(_: &'static str) -> Traces {
        Traces
    }

    impl Traces {
        /// Sends what is left.
        pub fn end(self) {}
    }

    /// What is done with one message, until all of them are dropped.
    #[derive(Debug, Clone)]
    pub struct Span;

    impl Span {
        /// Begins in the trace that a message's headers name.
        #[must_use]
        pub fn of(_: &'static str, _: (&str, Option<&Header>), _: Option<&HeaderMap>) -> Self {
            Self
        }
        /// Does it.
        pub async fn run<T>(&self, work: impl Future<Output = T>) -> T {
            work.await
        }
        /// It ended, and how.
        pub fn ended(&self, _: &str) {}
    }

    /// Sends the root of a trace.
    pub fn root(_: Trace, _: &'static str, _: (&str, &str)) {}

    /// Does something in a trace, directly below its root.
    pub async fn within<T>(_: Trace, work: impl Future<Output = T>) -> T {
        work.await
    }

    /// Headers that carry the trace, for what is published now.
    #[must_use]
    pub fn headers() -> Option<HeaderMap> {
        None
    }
}

#[cfg(feature = "otlp")]
mod otlp {
    use std::cell::Cell;
    use std::future::Future;
    use std::sync::OnceLock;
    use std::time::Duration;

    use async_nats::HeaderMap;
    use opentelemetry::trace::{
        FutureExt, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId,
        TraceState, Tracer, TracerProvider,
    };
    use opentelemetry::{Context, KeyValue};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracer, SdkTracerProvider};
    use proto::envelope::Header;
    use proto::trace::Trace;

    const PARENT: &str = "traceparent";
    /// How long what is left may take to be sent.
    const END_LIMIT: Duration = Duration::from_secs(3);
    /// Either switches spans on.
    const ENDPOINTS: [&str; 2] =
        ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

    static TRACER: OnceLock<SdkTracer> = OnceLock::new();

    thread_local! {
        /// The ids of the root that this thread is about to begin.
        static ROOT: Cell<Option<Trace>> = const { Cell::new(None) };
    }

    /// Random ids, but those of roots, which follow from their gathers.
    #[derive(Debug, Default)]
    struct Ids(RandomIdGenerator);

    impl IdGenerator for Ids {
        fn new_trace_id(&self) -> TraceId {
            let root = ROOT.get().map(|trace| TraceId::from_bytes(trace.id));
            root.unwrap_or_else(|| self.0.new_trace_id())
        }
        fn new_span_id(&self) -> SpanId {
            let root = ROOT.get().map(|trace| SpanId::from_bytes(trace.root));
            root.unwrap_or_else(|| self.0.new_span_id())
        }
    }

    /// What sends spans until the process ends.
    #[derive(Debug)]
    pub struct Traces(Option<SdkTracerProvider>);

    /// Starts to send spans, if that is asked for. What cannot be set up is said, and done without.
    #[must_use]
    pub fn start(role: &'static str) -> Traces {
        let asked = |name: &&str| std::env::var(name).is_ok_and(|at| !at.trim().is_empty());
        if !ENDPOINTS.iter().any(asked) {
            return Traces(None);
        }
        if rustls::crypto::CryptoProvider::get_default().is_none()
            && rustls::crypto::ring::default_provider().install_default().is_err()
        {
            tracing::debug!("another thread has just set up TLS");
        }
        let exporter = match opentelemetry_otlp::SpanExporter::builder().with_http().build() {
            Ok(exporter) => exporter,
            Err(error) => {
                tracing::error!(error = proto::fault::chain(&error), "no traces are sent");
                return Traces(None);
            }
        };
        let mut resource = Resource::builder();
        if !asked(&"OTEL_SERVICE_NAME") {
            resource = resource.with_service_name(format!("apportion-{role}"));
        }
        let resource = resource
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("process.pid", i64::from(std::process::id())))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_id_generator(Ids::default())
            .with_resource(resource)
            .build();
        if TRACER.set(provider.tracer("apportion")).is_err() {
            tracing::debug!("traces were set up before");
        }
        Traces(Some(provider))
    }

    impl Traces {
        /// Sends what is left.
        pub fn end(self) {
            if let Some(provider) = self.0
                && let Err(error) = provider.shutdown_with_timeout(END_LIMIT)
            {
                tracing::warn!(error = proto::fault::chain(&error), "the last spans are not sent");
            }
        }
    }

    /// What is done with one message, until all of them are dropped.
    #[derive(Debug, Clone)]
    pub struct Span(Option<Context>);

    impl Span {
        /// Begins in the trace that a message's headers name: `step` of what the message's own header is about.
        #[must_use]
        pub fn of(
            what: &'static str,
            (step, about): (&str, Option<&Header>),
            headers: Option<&HeaderMap>,
        ) -> Self {
            let Some(tracer) = TRACER.get() else { return Self(None) };
            let parent = headers.and_then(|headers| headers.get(PARENT));
            let parent = parent.and_then(|text| parse(text.as_str()));
            let parent = parent.map_or_else(Context::new, |parent| {
                Context::new().with_remote_span_context(parent)
            });
            let name = if step.is_empty() { what.to_owned() } else { format!("{what} {step}") };
            let mut attributes = vec![KeyValue::new("messaging.system", "nats")];
            if let Some(header) = about {
                attributes.push(KeyValue::new("apportion.tenant", header.tenant.to_string()));
                attributes.push(KeyValue::new("apportion.generation", header.generation.0));
                let source = header.source.as_ref();
                attributes.extend(source.map(|s| KeyValue::new("apportion.source", s.to_string())));
            }
            let builder = tracer.span_builder(name).with_kind(SpanKind::Consumer);
            let span = builder.with_attributes(attributes).start_with_context(tracer, &parent);
            Self(Some(parent.with_span(span)))
        }

        /// Does it: what is published meanwhile is of this span.
        pub async fn run<T>(&self, work: impl Future<Output = T>) -> T {
            match &self.0 {
                Some(context) => work.with_context(context.clone()).await,
                None => work.await,
            }
        }

        /// It ended, and how.
        pub fn ended(&self, outcome: &str) {
            let Some(context) = &self.0 else { return };
            let span = context.span();
            span.set_attribute(KeyValue::new("apportion.outcome", outcome.to_owned()));
            if matches!(outcome, "failed" | "refused") {
                span.set_status(Status::error(outcome.to_owned()));
            }
            span.end();
        }
    }

    /// Sends the root of a trace: a gather of a source is asked for.
    pub fn root(trace: Trace, name: &'static str, (tenant, source): (&str, &str)) {
        let Some(tracer) = TRACER.get() else { return };
        let attributes = [("apportion.tenant", tenant), ("apportion.source", source)];
        let attributes = attributes.map(|(key, value)| KeyValue::new(key, value.to_owned()));
        let builder = tracer.span_builder(name).with_kind(SpanKind::Producer);
        ROOT.set(Some(trace));
        // It ends at once, when dropped.
        drop(builder.with_attributes(attributes).start_with_context(tracer, &Context::new()));
        ROOT.set(None);
    }

    /// Does something in a trace, directly below its root.
    pub async fn within<T>(trace: Trace, work: impl Future<Output = T>) -> T {
        if TRACER.get().is_none() {
            return work.await;
        }
        let (id, root) = (TraceId::from_bytes(trace.id), SpanId::from_bytes(trace.root));
        let root = SpanContext::new(id, root, TraceFlags::SAMPLED, true, TraceState::default());
        work.with_context(Context::new().with_remote_span_context(root)).await
    }

    /// Headers that carry the trace, for what is published now.
    #[must_use]
    pub fn headers() -> Option<HeaderMap> {
        TRACER.get()?;
        let context = Context::current();
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| {
            let mut headers = HeaderMap::new();
            let (trace, id, flags) = (span.trace_id(), span.span_id(), span.trace_flags());
            headers.insert(PARENT, format!("00-{trace}-{id}-{:02x}", flags.to_u8()).as_str());
            headers
        })
    }

    /// W3C Trace Context, section 3.2; of a newer version, its first four fields.
    fn parse(text: &str) -> Option<SpanContext> {
        let mut fields = text.trim().split('-');
        let (version, trace) = (fields.next()?, fields.next()?);
        let (span, flags) = (fields.next()?, fields.next()?);
        let is = |field: &str, digits: usize| {
            field.len() == digits && field.bytes().all(|b| b.is_ascii_hexdigit())
        };
        if !is(version, 2) || version == "ff" || !is(trace, 32) || !is(span, 16) || !is(flags, 2) {
            return None;
        }
        let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
        let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
        let parent = SpanContext::new(trace, span, flags, true, TraceState::default());
        parent.is_valid().then_some(parent)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_parent_is_read_as_the_standard_has_it() {
            let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            let parent = parse(text).unwrap();
            assert_eq!(parent.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
            assert_eq!(parent.span_id().to_string(), "b7ad6b7169203331");
            assert!(parent.is_sampled() && parent.is_remote());
            assert!(parse(&format!("{text}-more").replacen("00", "01", 1)).is_some());
            for bad in [
                "",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
                "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                "00-00000000000000000000000000000000-b7ad6b7169203331-01",
                "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
                "00-0af7651916cd43dd8448eb211c8031-b7ad6b7169203331-01",
            ] {
                assert!(parse(bad).is_none(), "{bad}");
            }
        }
    }
}
