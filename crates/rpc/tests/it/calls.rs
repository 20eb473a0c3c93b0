//! What every call can rely on, whatever the transport.

use std::time::Duration;

use gristmill_rpc::error::describe;
use gristmill_rpc::{Problem, Request, ServerConfig};
use gristmill_types::ErrorCode;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use super::bench::Bench;
use super::probe::{call, collect, path, send};

fn text(text: &str) -> Request<String> {
    Request::new(text.to_owned())
}

#[tokio::test]
async fn answers_streams_and_errors_arrive_whole() {
    let bench = Bench::open().await;
    for channel in bench.both() {
        assert_eq!(call(&channel, "Unary", "rye").await.unwrap(), "RYE");
        let all = collect(&channel, text("rye")).await.unwrap();
        assert_eq!(all.into_iter().map(Result::unwrap).collect::<Vec<_>>(), ["first", "second"]);

        let status = call(&channel, "Unary", "wrong").await.unwrap_err();
        let problem = Problem::from(&status);
        assert_eq!((status.code(), problem.code), (Code::InvalidArgument, ErrorCode::InvalidArgument));
        assert_eq!(problem.reason, "NOT_GROUND");
        assert_eq!(describe(&status), "the grain is wet\n  grain.water: dry it");

        let mut all = collect(&channel, text("wrong")).await.unwrap();
        let last = all.pop().unwrap().unwrap_err();
        assert_eq!((last.code(), Problem::from(&last).reason.as_ref()), (Code::Aborted, "STONE_BROKE"));
        assert_eq!(all.len(), 1);
    }
}

#[tokio::test]
async fn a_panic_is_an_internal_error_that_tells_nothing_and_the_server_lives_on() {
    let bench = Bench::open().await;
    for channel in bench.both() {
        let status = call(&channel, "Unary", "panic").await.unwrap_err();
        let mut all = collect(&channel, text("panic")).await.unwrap();
        let in_stream = all.pop().unwrap().unwrap_err();
        assert_eq!(all.pop().unwrap().unwrap(), "first");
        for status in [status, in_stream] {
            assert_eq!(status.code(), Code::Internal);
            let problem = Problem::from(&status);
            assert_eq!(problem.reason, "PANIC");
            assert!(status.message().contains(&problem.metadata["correlation_id"]), "{status}");
            assert!(!status.message().contains("secret"), "{status}");
        }
        assert_eq!(call(&channel, "Unary", "rye").await.unwrap(), "RYE");
    }
}

#[tokio::test]
async fn a_deadline_ends_handlers_and_streams() {
    let bench = Bench::open().await;
    for channel in bench.both() {
        let mut request = text("hang");
        request.set_timeout(Duration::from_millis(30));
        let status = send(&channel, "Unary", request).await.unwrap_err();
        // Over the network the client's own timer may win; it says CANCELLED.
        assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status}");
        if channel.is_local() {
            assert_eq!(Problem::from(&status).reason, "DEADLINE");
        }
        let mut request = text("hang");
        request.set_timeout(Duration::from_millis(30));
        let mut all = collect(&channel, request).await.unwrap();
        let last = all.pop().unwrap().unwrap_err();
        assert_eq!(last.code(), Code::DeadlineExceeded, "{last}");
        assert_eq!(all.pop().unwrap().unwrap(), "first");
    }
}

#[tokio::test]
async fn deadline_and_trace_are_handed_on_to_the_next_stage() {
    let bench = Bench::open().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for channel in bench.both() {
        let mut request = text("headers");
        request.set_timeout(Duration::from_secs(50));
        request.metadata_mut().insert("traceparent", trace.parse().unwrap());
        let seen = send(&channel, "Forward", request).await.unwrap();
        let (timeout, seen_trace) = seen.split_once(' ').unwrap();
        assert_eq!(seen_trace, trace);
        let micros: u64 = timeout.strip_suffix('u').unwrap().parse().unwrap();
        assert!((40_000_000..=45_000_000).contains(&micros), "nine tenths of what is left: {timeout}");
        let without = call(&channel, "Forward", "headers").await.unwrap();
        assert_eq!(without, "- -", "what did not come in does not go out");
    }
}

#[tokio::test]
async fn too_large_messages_and_unknown_rpcs_are_refused() {
    let bench = Bench::open().await;
    for channel in bench.both() {
        let large = "x".repeat(gristmill_rpc::CONTROL_BYTES + 1);
        let status = call(&channel, "Unary", &large).await.unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange, "{status}");
        for unknown in ["/gristmill.test.Probe/Nothing", "/nobody.Home/Knock", "/"] {
            let status = path(&channel, unknown, text("x")).await.unwrap_err();
            assert_eq!(status.code(), Code::Unimplemented, "{unknown}: {status}");
            assert_eq!(Problem::from(&status).reason, "UNKNOWN_RPC");
        }
        assert_eq!(call(&channel, "Unary", "rye").await.unwrap(), "RYE");
    }
}

#[tokio::test]
async fn the_limit_of_concurrent_calls_answers_at_once() {
    let config = ServerConfig { max_calls: 1, ..ServerConfig::default() };
    let bench = Bench::start(gristmill_rpc::Auth::LoopbackOnly, config).await;
    let channel = bench.remote(None);
    let mut hanging = Box::pin(collect(&channel, text("hang")));
    // The first call holds the only permit once its stream has begun; until then another may win.
    let status = loop {
        tokio::select! {
            _ = &mut hanging => unreachable!("the stream never ends"),
            answer = call(&channel, "Unary", "rye") => if let Err(status) = answer { break status },
        }
    };
    let problem = Problem::from(&status);
    assert_eq!((status.code(), problem.reason.as_ref()), (Code::ResourceExhausted, "TOO_MANY_CALLS"));
    assert!(problem.retry_after.is_some());
    let local = bench.local.channel("local");
    assert_eq!(call(&local, "Unary", "rye").await.unwrap(), "RYE", "a step of work under way is never refused");
}

#[tokio::test]
async fn health_and_reflection_speak_for_every_service() {
    let bench = Bench::open().await;
    for channel in bench.both() {
        let mut health = HealthClient::new(channel.clone());
        for service in ["", "gristmill.test.Probe"] {
            let request = HealthCheckRequest { service: service.into() };
            let status = health.check(request).await.unwrap().into_inner().status();
            assert_eq!(status, ServingStatus::Serving, "{service}");
        }
        let unknown = HealthCheckRequest { service: "nobody".into() };
        assert_eq!(health.check(unknown).await.unwrap_err().code(), Code::NotFound);
        bench.server.set_ready("gristmill.test.Probe", false).await;
        let request = HealthCheckRequest { service: "gristmill.test.Probe".into() };
        assert_eq!(health.check(request).await.unwrap().into_inner().status(), ServingStatus::NotServing);
        bench.server.set_ready("gristmill.test.Probe", true).await;

        let mut reflection = ServerReflectionClient::new(channel);
        let ask = ServerReflectionRequest {
            host: String::new(),
            message_request: Some(MessageRequest::ListServices(String::new())),
        };
        let mut answers = reflection.server_reflection_info(tokio_stream::iter([ask])).await.unwrap().into_inner();
        let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
        let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
        let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
        for (path, _) in gristmill_proto::PERMISSIONS {
            let service = path.trim_start_matches('/').split('/').next().unwrap();
            assert!(names.iter().any(|name| name == service), "{service} is not reflected");
        }
    }
}

#[tokio::test]
async fn calls_are_counted_under_the_names_of_opentelemetry() {
    let bench = Bench::open().await;
    for channel in bench.both() {
        call(&channel, "Unary", "rye").await.unwrap();
        call(&channel, "Unary", "wrong").await.unwrap_err();
        path(&channel, "/nobody.Home/Knock", text("x")).await.unwrap_err();
        collect(&channel, text("panic")).await.unwrap();
    }
    let text = bench.process.metrics.encode();
    let count = |method: &str, code: &str| {
        let labels = format!(
            "rpc_server_call_duration_seconds_count{{rpc_system_name=\"grpc\",rpc_method=\"{method}\",rpc_response_status_code=\"{code}\"}} "
        );
        text.lines()
            .find_map(|line| line.strip_prefix(&labels))
            .unwrap_or_else(|| panic!("{labels} in {text}"))
            .to_owned()
    };
    assert_eq!(count("gristmill.test.Probe/Unary", "OK"), "2");
    assert_eq!(count("gristmill.test.Probe/Unary", "INVALID_ARGUMENT"), "2");
    assert_eq!(count("gristmill.test.Probe/Stream", "INTERNAL"), "2");
    assert_eq!(count("_OTHER", "UNIMPLEMENTED"), "2");
    assert!(text.contains("rpc_server_active_requests 0"), "{text}");
}
