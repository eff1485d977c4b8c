// A chat template in Jinja, as Hugging Face's libraries run it: a sandbox, trim_blocks,
// lstrip_blocks, loop controls and {% generation %}. Compiled once, then const: any number of
// threads render it at once. Neither compiling nor rendering throws, and both are bounded in steps
// and bytes, never in time.
#pragma once

#include <memory>
#include <string_view>

#include "model/chat/jinja/values/jinja_value.h"
#include "model/chat/jinja/values/marked_text.h"
#include "model/chat/jinja/values/template_error.h"

namespace trireme {

namespace jinja {
struct Program;
}

class JinjaTemplate {
 public:
  // Null, and `error`, if `source` is no template.
  static std::unique_ptr<const JinjaTemplate> compile(std::string_view source,
                                                      TemplateError& error);
  ~JinjaTemplate();

  // `variables`: a dict whose heap outlives the call. False, and `error`, if rendering fails; then
  // `out` is empty. Bytes that the template wrote have no range in out.origins.
  bool render(const JinjaValue& variables,
              const RenderOptions& options,
              MarkedText& out,
              TemplateError& error) const;

  // Whether the template reads a variable of this name that it does not only set itself.
  bool reads_variable(std::string_view name) const;

 private:
  explicit JinjaTemplate(std::unique_ptr<const jinja::Program> program);
  std::unique_ptr<const jinja::Program> program_;
};

}  // namespace trireme
