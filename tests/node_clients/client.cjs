#!/usr/bin/env node
// A session as Claude Code would send it, with OpenTelemetry's own exporters.
//
// `ccotel wrap` starts it, so it is given `--settings FILE` and what is in there, like Claude Code.
// It sends a round (one request's events and counters) for each line on standard input, and answers
// each with one JSON line; at the end of its input it flushes, and says what it sent and what of
// that was acknowledged.
//
// CLIENT_PROTOCOL: http/protobuf, http/json or grpc. CLIENT_ADDRESS: a proxy in the agent's place.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const { createRequire } = require('node:module');
const { randomUUID } = require('node:crypto');

const modules = createRequire(path.join(process.env.CCOTEL_TEST_NODE_MODULES, 'client.cjs'));

const EVENTS_PER_ROUND = 3;
const INPUT_TOKENS_PER_ROUND = 7;
const COST_USD_PER_ROUND = 0.25;
const MODEL = 'claude-sonnet-4-6';
// What Claude Code has.
const EXPORT_TIMEOUT_MS = 10000;

const PACKAGES = { 'http/protobuf': 'proto', 'http/json': 'http', grpc: 'grpc' };

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});

async function main() {
  readSettings(process.argv);
  const protocol = process.env.CLIENT_PROTOCOL;
  const session = randomUUID();
  const tally = {
    session,
    endpoint: process.env.OTEL_EXPORTER_OTLP_ENDPOINT,
    sent: { events: 0, tokens: 0 },
    acknowledged: { events: 0, tokens: 0 },
    failures: [],
  };
  const client = start(protocol, tally);
  for await (const _ of readline.createInterface({ input: process.stdin })) {
    await round(client, session, tally);
    console.log(JSON.stringify({ round: tally.sent }));
  }
  await Promise.allSettled([client.metrics.shutdown(), client.logs.shutdown()]);
  console.log(JSON.stringify(tally));
}

// What `--settings` says outranks the environment.
function readSettings(args) {
  const at = args.indexOf('--settings');
  if (at < 0) throw new Error('no --settings: was this not started by ccotel?');
  const settings = JSON.parse(fs.readFileSync(args[at + 1], 'utf8'));
  Object.assign(process.env, settings.env);
  for (const signal of ['METRICS', 'LOGS', 'TRACES']) {
    // Given to each exporter by itself below.
    delete process.env[`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`];
  }
}

function start(protocol, tally) {
  const { MeterProvider, PeriodicExportingMetricReader } = modules('@opentelemetry/sdk-metrics');
  const { LoggerProvider, BatchLogRecordProcessor } = modules('@opentelemetry/sdk-logs');
  const { detectResources, envDetector } = modules('@opentelemetry/resources');
  const resource = detectResources({ detectors: [envDetector] });
  const exporter = (signal, name) => {
    const kind = modules(`@opentelemetry/exporter-${signal}-otlp-${PACKAGES[protocol]}`)[name];
    return new kind({ ...target(protocol, signal), timeoutMillis: EXPORT_TIMEOUT_MS });
  };

  const metricExporter = observed(exporter('metrics', 'OTLPMetricExporter'), tally, (batch) => {
    // Cumulative: the newest is all of it.
    tally.acknowledged.tokens = Math.max(tally.acknowledged.tokens, tokensIn(batch));
  });
  const logExporter = observed(exporter('logs', 'OTLPLogExporter'), tally, (batch) => {
    tally.acknowledged.events += batch.length;
  });
  // Both are flushed by hand, so that each round has requests of its own.
  const reader = new PeriodicExportingMetricReader({
    exporter: metricExporter,
    exportIntervalMillis: 3600000,
    exportTimeoutMillis: 3 * EXPORT_TIMEOUT_MS,
  });
  const processor = new BatchLogRecordProcessor({
    exporter: logExporter,
    scheduledDelayMillis: 3600000,
    exportTimeoutMillis: 3 * EXPORT_TIMEOUT_MS,
  });
  const metrics = new MeterProvider({ resource, readers: [reader] });
  const logs = new LoggerProvider({ resource, processors: [processor] });
  const meter = metrics.getMeter('com.anthropic.claude_code', '2.1.329');
  return {
    metrics,
    logs,
    tokens: meter.createCounter('claude_code.token.usage', { unit: 'tokens' }),
    cost: meter.createCounter('claude_code.cost.usage', { unit: 'USD' }),
    events: logs.getLogger('com.anthropic.claude_code.events', '2.1.329'),
    sequence: 0,
  };
}

// Where a signal goes: the agent's address with the token in the path, or in metadata for gRPC,
// which has no path of its own.
function target(protocol, signal) {
  const endpoint = new URL(process.env.OTEL_EXPORTER_OTLP_ENDPOINT);
  if (process.env.CLIENT_ADDRESS) endpoint.host = process.env.CLIENT_ADDRESS;
  if (protocol !== 'grpc') return { url: `${endpoint.href.replace(/\/$/, '')}/v1/${signal}` };
  const grpc = createRequire(modules.resolve('@opentelemetry/otlp-grpc-exporter-base'))('@grpc/grpc-js');
  const metadata = new grpc.Metadata();
  metadata.set('authorization', `Bearer ${endpoint.pathname.replaceAll('/', '')}`);
  return { url: endpoint.origin, metadata };
}

// Counts what an exporter says of each batch.
function observed(exporter, tally, acknowledge) {
  const send = exporter.export.bind(exporter);
  exporter.export = (batch, done) =>
    send(batch, (result) => {
      if (result.code === 0) acknowledge(batch);
      else tally.failures.push(String(result.error));
      done(result);
    });
  return exporter;
}

function tokensIn(batch) {
  const metrics = batch.scopeMetrics.flatMap((scope) => scope.metrics);
  const tokens = metrics.filter((metric) => metric.descriptor.name === 'claude_code.token.usage');
  return tokens.flatMap((metric) => metric.dataPoints).reduce((sum, point) => sum + point.value, 0);
}

async function round(client, session, tally) {
  const attributes = { 'session.id': session, model: MODEL };
  client.tokens.add(INPUT_TOKENS_PER_ROUND, { ...attributes, type: 'input' });
  client.cost.add(COST_USD_PER_ROUND, attributes);
  for (let index = 0; index < EVENTS_PER_ROUND; index += 1) {
    client.sequence += 1;
    client.events.emit({
      body: 'claude_code.api_request',
      attributes: {
        'session.id': session,
        'event.name': 'api_request',
        'event.timestamp': new Date().toISOString(),
        'event.sequence': client.sequence,
        model: MODEL,
        request_id: `req_${session}_${client.sequence}`,
      },
    });
  }
  tally.sent.events += EVENTS_PER_ROUND;
  tally.sent.tokens += INPUT_TOKENS_PER_ROUND;
  // A failed export is in the tally, and must not end the session.
  await Promise.allSettled([client.metrics.forceFlush(), client.logs.forceFlush()]);
}
