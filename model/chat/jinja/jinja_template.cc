#include "model/chat/jinja/jinja_template.h"

#include "base/utf8.h"
#include "model/chat/jinja/interpreter.h"
#include "model/chat/jinja/syntax/lexer.h"
#include "model/chat/jinja/syntax/parser.h"

namespace trireme {

JinjaTemplate::JinjaTemplate(std::unique_ptr<const jinja::Program> program)
    : program_(std::move(program)) {}
JinjaTemplate::~JinjaTemplate() = default;

std::unique_ptr<const JinjaTemplate> JinjaTemplate::compile(std::string_view source,
                                                            TemplateError& error) {
  if (source.size() > jinja::kMaxSourceBytes) {
    error = {"LimitError",
             format_text("the template has {} bytes, at most {} are allowed",
                         source.size(),
                         jinja::kMaxSourceBytes),
             1,
             1,
             true};
    return nullptr;
  }
  if (const auto broken = first_not_utf8(source); broken.has_value()) {
    error = {"TemplateSyntaxError", format_text("byte {} is not UTF-8", *broken), 0, 0, false};
    return nullptr;
  }
  auto program = std::make_unique<jinja::Program>();
  program->source = jinja::normalize_lines(source);
  try {
    jinja::Parser(*program).run();
  } catch (const jinja::Failure& failure) {
    error = failure.error;
    return nullptr;
  }
  return std::unique_ptr<const JinjaTemplate>(new JinjaTemplate(std::move(program)));
}

bool JinjaTemplate::render(const JinjaValue& variables,
                           const RenderOptions& options,
                           MarkedText& out,
                           TemplateError& error) const {
  out = MarkedText();
  jinja::Interpreter interpreter(*program_, variables, options);
  try {
    interpreter.run(out);
    return true;
  } catch (const jinja::Failure& failure) {
    out = MarkedText();
    error = failure.error;
    if (error.line == 0) {
      jinja::locate(program_->source, interpreter.offset(), error.line, error.column);
    }
    return false;
  }
}

bool JinjaTemplate::reads_variable(std::string_view name) const {
  for (size_t i = 0; i < program_->names.size(); ++i) {
    if (program_->names[i] == name) return program_->is_read[i];
  }
  return false;
}

}  // namespace trireme
