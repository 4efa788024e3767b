-- Certificates that sign themselves, made by openssl in a folder of their own, and parameters for
-- LuaSec.

local certificates = {}
certificates.__index = certificates

-- Makes one certificate for each name, and its key.
function certificates.new(...)
  local self = setmetatable({folder = os.tmpname()}, certificates)
  os.remove(self.folder)
  for _, name in ipairs{...} do
    assert(os.execute(([[mkdir -p %s && cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
      -nodes -keyout %s.key -out %s.pem -days 1 -subj /CN=%s 2>errors]]):format(
        self.folder, self.folder, name, name, name)))
  end
  return self
end

-- Parameters for LuaSec, as text: `own` is the side's own certificate, `trusted` the one it trusts,
-- `more` more fields.
function certificates:text(mode, own, trusted, more)
  local fields = {("mode = '%s', protocol = 'any'"):format(mode)}
  if own then
    fields[#fields + 1] = ("key = '%s/%s.key', certificate = '%s/%s.pem'"):format(self.folder, own, self.folder, own)
  end
  if trusted then fields[#fields + 1] = ("cafile = '%s/%s.pem'"):format(self.folder, trusted) end
  fields[#fields + 1] = more
  return '{' .. table.concat(fields, ', ') .. '}'
end

-- The same, as a table.
function certificates:parameters(...)
  return assert(load('return ' .. self:text(...)))()
end

function certificates:remove() os.execute('rm -r ' .. self.folder) end

return certificates
