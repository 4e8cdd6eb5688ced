-- For wrk: posts the photos that are named behind `--`, one after another, as multipart forms, and
-- ends with one line of JSON.
local requests_ready, turn = {}, 0

function init(arguments)
  for _, path in ipairs(arguments) do
    local file = assert(io.open(path, "rb"))
    local body = "--photo\r\nContent-Disposition: form-data; name=\"file\"; filename=\"p.jpg\"\r\n"
      .. "Content-Type: image/jpeg\r\n\r\n" .. file:read("*a") .. "\r\n--photo--\r\n"
    file:close()
    local headers = {["Content-Type"] = "multipart/form-data; boundary=photo"}
    table.insert(requests_ready, wrk.format("POST", nil, headers, body))
  end
end

function request()
  turn = turn % #requests_ready + 1
  return requests_ready[turn]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "seconds": %.3f, "p50_ms": %.2f, "p99_ms": %.2f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
