//! Who gets in.

use ccotel::receive::Limits;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use tonic::{Code, Request};

use crate::support::{Agent, TOKEN, admission, logs, logs_message};

fn token_only() -> Agent {
    Agent::with(Limits::default(), admission().with_token_only())
}

#[tokio::test]
async fn a_token_gets_in_by_path_or_header_and_nothing_else_does() {
    let agent = token_only();
    let (body, _) = logs();
    let bearer = format!("Bearer {TOKEN}");
    let lower = format!("bearer {TOKEN}");
    let basic = format!("Basic {TOKEN}");
    let path = format!("/{TOKEN}/v1/logs");
    let longer = format!("/{TOKEN}0/v1/logs");
    let shorter = format!("/{}/v1/logs", &TOKEN[1..]);
    for (path, authorization, status) in [
        (path.as_str(), None, 200),
        ("/v1/logs", Some(bearer.as_str()), 200),
        ("/v1/logs", Some(lower.as_str()), 200),
        ("/wrong/v1/logs", Some(bearer.as_str()), 200),
        (path.as_str(), Some("Bearer wrong"), 200),
        ("/v1/logs", None, 401),
        ("/v1/logs", Some(basic.as_str()), 401),
        ("/v1/logs", Some("Bearer "), 401),
        ("/v1/logs", Some(TOKEN), 401),
        ("/wrong/v1/logs", None, 401),
        ("//v1/logs", None, 401),
        (longer.as_str(), None, 401),
        (shorter.as_str(), None, 401),
        ("/nowhere", None, 401),
    ] {
        let headers: Vec<_> = authorization.iter().map(|value| ("Authorization", *value)).collect();
        let answer = agent.post(path, &headers, &body).await;
        assert_eq!(answer.status, status, "{path} {authorization:?}");
        if status == 401 {
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert!(answer.rpc().message.contains("token"));
        }
    }
    assert_eq!(agent.store.ingested().len(), 5);
    assert_eq!(agent.counts().denied, 9);
}

#[tokio::test]
async fn the_agents_numbers_need_the_token_and_its_health_does_not() {
    let agent = token_only();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let health = agent.raw(get("/healthz")).await;
    assert_eq!((health.status, health.body.as_slice()), (200, b"ok\n".as_slice()));
    assert_eq!(agent.raw(get("/metrics")).await.status, 401);
    let metrics = agent.raw(get(&format!("/{TOKEN}/metrics"))).await;
    assert_eq!(metrics.status, 200);
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let page = String::from_utf8(metrics.body).unwrap();
    assert!(page.contains("claude_code_cost_usage_USD_total{team=\"platform\"} 12.5\n"), "{page}");
    assert!(page.contains("ccotel_store_series 7\n"), "{page}");
    assert!(
        page.contains("ccotel_receive_failed_requests_total{outcome=\"denied\"} 1\n"),
        "{page}"
    );
}

#[tokio::test]
async fn grpc_gets_in_by_bearer_metadata() {
    let agent = token_only();
    let mut client = LogsServiceClient::connect(agent.url("")).await.unwrap();
    let status = client.export(logs_message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let mut request = Request::new(logs_message());
    let bearer = format!("Bearer {TOKEN}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    client.export(request).await.unwrap();
    let mut request = Request::new(logs_message());
    request.metadata_mut().insert("origin", "http://evil.example".parse().unwrap());
    assert_eq!(client.export(request).await.unwrap_err().code(), Code::PermissionDenied);
}

#[tokio::test]
async fn no_web_page_and_no_rebound_name_gets_in_even_with_the_token() {
    let hosts = ["devbox.internal".to_owned()];
    let admission = admission();
    admission.allow_hosts(&hosts);
    let agent = Agent::with(Limits::default(), admission);
    let (body, _) = logs();
    let path = format!("/{TOKEN}/v1/logs");
    let check = async |headers: &[(&str, &str)], status: u16| {
        let answer = agent.post(&path, headers, &body).await;
        assert_eq!(answer.status, status, "{headers:?}");
        let cors = answer.headers.iter().find(|(name, _)| name.starts_with("access-control"));
        assert_eq!(cors, None, "no CORS header, ever");
    };
    for host in
        ["127.0.0.1", "localhost", "[::1]", "LocalHost:14318", "127.0.0.1:1", "devbox.internal:9"]
    {
        check(&[("Host", host)], 200).await;
    }
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.2",
        "",
        "localhost@evil.example",
        "0.0.0.0",
    ] {
        check(&[("Host", host)], 403).await;
    }
    check(&[("Host", "localhost"), ("Host", "evil.example")], 403).await;
    check(&[("Origin", "http://127.0.0.1:14318")], 403).await;
    check(&[("Origin", "null")], 403).await;
    check(&[("Origin", "")], 403).await;
    check(&[("Sec-Fetch-Site", "cross-site")], 403).await;
    check(&[("Sec-Fetch-Site", "same-origin")], 403).await;
    check(&[("Sec-Fetch-Site", "none")], 200).await;
    for path in ["/healthz", "/metrics"] {
        let get = format!("GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n");
        assert_eq!(agent.raw(get).await.status, 403, "{path}");
    }
    let absolute = "GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(agent.raw(absolute).await.status, 403);
    assert_eq!(agent.raw("GET /healthz HTTP/1.1\r\n\r\n").await.status, 400, "no Host at all");
    assert_eq!(agent.raw("GET /healthz HTTP/1.0\r\n\r\n").await.status, 200, "1.0 has none");
    let preflight = "OPTIONS /v1/logs HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n\
                     Access-Control-Request-Method: POST\r\n\r\n";
    assert_eq!(agent.raw(preflight).await.status, 403);
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    use std::sync::Arc;
    let agent = Agent::start();
    let everywhere = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = everywhere.local_addr().unwrap().port();
    let stop = tokio_util::sync::CancellationToken::new();
    let serving = ccotel::receive::serve(vec![everywhere], Arc::clone(&agent.door), stop.clone());
    let served = tokio::spawn(serving);
    crate::support::eventually("the listener is closed", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_err()
    })
    .await;
    stop.cancel();
    served.await.unwrap();
}

/// Our own user gets in without a token where the kernel tells who is calling.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn our_own_user_gets_in_over_ipv4_and_over_mapped_ipv6() {
    let agent = Agent::start();
    let (body, _) = logs();
    assert_eq!(agent.post("/v1/logs", &[], &body).await.status, 200);
    assert_eq!(agent.post("/an-old-token/v1/logs", &[], &body).await.status, 200);
    let mapped =
        std::net::SocketAddr::from(([0, 0, 0, 0, 0, 0xffff, 0x7f00, 1], agent.address.port()));
    // Without IPv6 there is no such socket to be fooled by.
    if let Ok(stream) = tokio::net::TcpStream::connect(mapped).await {
        let mut connection = crate::support::Raw(stream);
        connection.send(&crate::support::post("/v1/logs", &[], &body)).await;
        assert_eq!(connection.answer().await.status, 200);
    }
}

/// One door, two listeners, both families.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn our_own_user_gets_in_over_ipv6_and_a_second_listener() {
    let agent = Agent::start();
    let (body, _) = logs();
    // A machine without IPv6 has a second IPv4 listener.
    let second = match tokio::net::TcpListener::bind("[::1]:0").await {
        Ok(listener) => listener,
        Err(_) => tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(),
    };
    let third = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = [second.local_addr().unwrap(), third.local_addr().unwrap()];
    let stop = tokio_util::sync::CancellationToken::new();
    let door = std::sync::Arc::clone(&agent.door);
    let served = tokio::spawn(ccotel::receive::serve(vec![second, third], door, stop.clone()));
    for address in addresses {
        let stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut connection = crate::support::Raw(stream);
        let host = ("Host", &*address.to_string());
        connection.send(&crate::support::post("/v1/logs", &[host], &body)).await;
        assert_eq!(connection.answer().await.status, 200, "{address}");
    }
    stop.cancel();
    served.await.unwrap();
    assert_eq!(agent.store.ingested().len(), 2);
}
