-- For wrk: POSTs a body under the next line's headers, `id timestamp signature`. Arguments: headers, body.
function init(args)
  local file = io.open(args[2], "rb")
  body = file:read("*a")
  file:close()
  lines = io.lines(args[1])
end

function request()
  local line = lines()
  if not line then
    wrk.thread:stop()
    return wrk.format("GET", "/healthz")
  end
  local id, timestamp, signature = line:match("^(%S+) (%S+) (%S+)$")
  return wrk.format("POST", nil, {
    ["Content-Type"] = "application/json",
    ["webhook-id"] = id,
    ["webhook-timestamp"] = timestamp,
    ["webhook-signature"] = signature,
  }, body)
end

function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("found %d %d %d\n", summary.requests, summary.duration, failed))
end
