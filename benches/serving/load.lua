-- Texts of a file one after the other, for wrk: wrk -s load.lua URL -- TEXTS. Ends with one line of JSON.
local bodies = {}
local next_one = 0

local function escaped(text)
  return (text:gsub('[%c"\\]', function(c) return string.format("\\u%04x", c:byte()) end))
end

function init(arguments)
  for line in io.lines(arguments[1]) do
    if #line > 0 then
      bodies[#bodies + 1] = wrk.format("POST", nil, { ["content-type"] = "application/json" }, '{"inputs":"' .. escaped(line) .. '"}')
    end
  end
end

function request()
  next_one = next_one % #bodies + 1
  return bodies[next_one]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format('{"requests":%d,"seconds":%.3f,"p50":%.3f,"p95":%.3f,"p99":%.3f,"errors":%d,"status_errors":%d}\n', summary.requests,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3, failed, errors.status))
end
