// The functions that every template may call.
#include <algorithm>

#include "model/chat/jinja/values/format.h"
#include "model/chat/jinja/values/library.h"
#include "model/chat/jinja/values/operators.h"
#include "model/chat/jinja/values/print.h"

namespace trireme::jinja {

namespace {

constexpr std::string_view kPositional;  // a parameter that no keyword reaches
constexpr int64_t kMaxRange = 100'000;   // of Jinja's sandbox

Value raise_exception(Runtime& runtime, const Value& self, const Args& args) {
  (void)self;
  const Bound bound("raise_exception", args, {"message"}, 1);
  if (is_undefined(bound[0])) fail("TemplateError", "");
  fail("TemplateError", std::string(to_string(runtime, bound[0]).text()));
}

Value strftime_now(Runtime& runtime, const Value& self, const Args& args) {
  (void)self;
  const Bound bound("strftime_now", args, {"format"}, 1);
  if (!is_string(bound[0])) {
    type_error("strftime() argument 1 must be str, not {}", type_name(bound[0]));
  }
  const RenderOptions& options = runtime.options();
  runtime.reserve(text_of(bound[0]).size * 8);
  return runtime.string(format_time(bound[0].text(), options.now_s, options.utc_offset_s),
                        bound[0].origin());
}

// dict(mapping or pairs, **named).
Dict* dict_of_arguments(Runtime& runtime, const Args& args, std::string_view function) {
  if (args.count > 1) {
    type_error("{} expected at most 1 argument, got {}", function, args.count);
  }
  Dict* dict = runtime.heap().make<Dict>();
  if (args.count == 1) {
    const Value& source = args.values[0];
    if (source.is(Kind::kDict)) {
      for (uint32_t i = 0; i < dict_of(source).size; ++i) {
        const DictEntry& entry = dict_of(source).entries[i];
        set_member(runtime, *dict, entry.key, entry.value);
      }
    } else {
      ValueIterator iterator(runtime, source);
      Value pair;
      for (int64_t i = 0; iterator.next(runtime, pair); ++i) {
        if (!is_iterable(pair)) {
          type_error("cannot convert dictionary update sequence element #{} to a sequence", i);
        }
        const List& both = elements(runtime, pair);
        if (both.size != 2) {
          value_error(
              "dictionary update sequence element #{} has length {}; 2 is required", i, both.size);
        }
        set_member(runtime, *dict, both.items[0], both.items[1]);
      }
    }
  }
  for (uint32_t i = 0; i < args.num_named; ++i) {
    set_member(runtime, *dict, args.names[i], args.named[i]);
  }
  return dict;
}

Value make_dict(Runtime& runtime, const Value& self, const Args& args) {
  (void)self;
  const Origin origin = args.count == 1 ? args.values[0].origin() : Origin::kTemplate;
  return JinjaAccess::dict(dict_of_arguments(runtime, args, "dict"), origin);
}

Value make_namespace(Runtime& runtime, const Value& self, const Args& args) {
  (void)self;
  return JinjaAccess::dict(
      dict_of_arguments(runtime, args, "namespace"), Origin::kTemplate, Kind::kNamespace);
}

Value make_range(Runtime& runtime, const Value& self, const Args& args) {
  (void)self;
  const Bound bound("range", args, {kPositional, kPositional, kPositional}, 1);
  int64_t numbers[3] = {0, 0, 1};
  Origin origin = Origin::kTemplate;
  for (uint32_t i = 0; i < 3; ++i) {
    if (!bound.has(i)) continue;
    if (is_undefined(bound[i]))
      type_error("'{}' object cannot be interpreted as an integer", "Undefined");
    if (!is_integer(bound[i])) {
      type_error("'{}' object cannot be interpreted as an integer", type_name(bound[i]));
    }
    numbers[i] = whole_of(bound[i]);
    origin = stricter(origin, bound[i].origin());
  }
  if (!bound.has(1)) std::swap(numbers[0], numbers[1]);
  Range* range = runtime.heap().make<Range>();
  *range = {numbers[0], numbers[1], numbers[2], 0};
  if (range->step == 0) fail("ValueError", "range() arg 3 must not be zero");
  const bool forward = range->step > 0;
  const __int128 distance = forward ? static_cast<__int128>(range->stop) - range->start
                                    : static_cast<__int128>(range->start) - range->stop;
  const __int128 stride =
      forward ? static_cast<__int128>(range->step) : -static_cast<__int128>(range->step);
  const __int128 size = distance > 0 ? (distance - 1) / stride + 1 : 0;
  if (size > kMaxRange) {
    fail("OverflowError",
         format_text("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).",
                     kMaxRange));
  }
  range->size = static_cast<int64_t>(size);
  return JinjaAccess::range(range, origin);
}

Value make_cycler(Runtime& runtime, const Value& self, const Args& args) {
  (void)self;
  if (args.num_named > 0)
    type_error("cycler() got an unexpected keyword argument '{}'", args.name(0));
  if (args.count == 0) fail("RuntimeError", "at least one item has to be provided");
  Object* object = runtime.heap().make<Object>();
  object->items = *runtime.new_list(args.count);
  for (uint32_t i = 0; i < args.count; ++i) runtime.push(object->items, args.values[i]);
  return JinjaAccess::object(object);
}

Value make_joiner(Runtime& runtime, const Value& self, const Args& args) {
  (void)self;
  const Bound bound("joiner", args, {"sep"});
  Object* object = runtime.heap().make<Object>();
  object->kind = ObjectKind::kJoiner;
  runtime.push(object->items, bound.has(0) ? bound[0] : runtime.string(", "));
  return JinjaAccess::object(object);
}

constexpr NamedFunction kFunctions[] = {
    {"cycler", make_cycler},
    {"dict", make_dict},
    {"joiner", make_joiner},
    {"namespace", make_namespace},
    {"raise_exception", raise_exception},
    {"range", make_range},
    {"strftime_now", strftime_now},
};

}  // namespace

FunctionBody find_function(std::string_view name) {
  for (const NamedFunction& function : kFunctions) {
    if (function.name == name) return function.body;
  }
  return nullptr;
}

}  // namespace trireme::jinja
