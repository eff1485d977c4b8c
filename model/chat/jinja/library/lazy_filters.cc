// Filters that yield their elements when they are read: an element that nobody reads cannot fail.
#include <algorithm>

#include "model/chat/jinja/values/library.h"
#include "model/chat/jinja/values/operators.h"
#include "model/chat/jinja/values/text_builder.h"

namespace trireme::jinja {

namespace {

// Arguments that outlive the call of the filter, in the render's heap.
Args keep(Runtime& runtime, const Args& args, uint32_t skipped) {
  Args kept;
  kept.count = args.count - skipped;
  kept.num_named = args.num_named;
  runtime.reserve((kept.count + kept.num_named) * 2 * sizeof(Value));
  Value* values = runtime.heap().make_array<Value>(kept.count + kept.num_named);
  Value* names = runtime.heap().make_array<Value>(kept.num_named);
  std::copy(args.values + skipped, args.values + args.count, values);
  std::copy(args.named, args.named + args.num_named, values + kept.count);
  std::copy(args.names, args.names + args.num_named, names);
  kept.values = values;
  kept.named = values + kept.count;
  kept.names = names;
  return kept;
}

struct MapIterator : Iterator {
  bool next(Runtime& runtime, Value& out) override {
    Value item;
    if (!source.next(runtime, item)) return false;
    out = filter != nullptr ? filter(runtime, item, args)
                            : path.of(runtime, item, has_default ? &otherwise : nullptr);
    return true;
  }

  ValueIterator source;
  FunctionBody filter = nullptr;
  Args args;
  AttributePath path;
  bool has_default = false;
  Value otherwise;
};

struct SelectIterator : Iterator {
  bool next(Runtime& runtime, Value& out) override {
    Value item;
    while (source.next(runtime, item)) {
      const Value tested = path.of(runtime, item);
      const bool holds = test != nullptr ? truthy(test(runtime, tested, args)) : truthy(tested);
      if (holds == wanted) {
        out = item;
        return true;
      }
    }
    return false;
  }

  ValueIterator source;
  FunctionBody test = nullptr;
  Args args;
  AttributePath path;
  bool wanted = true;
};

// A filter that begins when its first element is read, as a generator does.
struct DeferredIterator : Iterator {
  bool next(Runtime& runtime, Value& out) override {
    if (!has_begun) {
      has_begun = true;
      source = ValueIterator(runtime, filter(runtime, self, args));
    }
    return source.next(runtime, out);
  }

  FunctionBody filter = nullptr;
  Value self;
  Args args;
  bool has_begun = false;
  ValueIterator source;
};

template <FunctionBody filter>
Value deferred(Runtime& runtime, const Value& self, const Args& args) {
  runtime.reserve(sizeof(DeferredIterator));
  auto* iterator = runtime.heap().make<DeferredIterator>();
  iterator->filter = filter;
  iterator->self = self;
  iterator->args = keep(runtime, args, 0);
  return JinjaAccess::iterator(iterator);
}

Value nothing(Runtime& runtime) {
  return JinjaAccess::list(runtime.new_list(0), Origin::kTemplate);
}

Value map(Runtime& runtime, const Value& self, const Args& args) {
  if (!truthy(self)) return nothing(runtime);
  runtime.reserve(sizeof(MapIterator));
  auto* iterator = runtime.heap().make<MapIterator>();
  iterator->source = ValueIterator(runtime, self);
  if (args.count == 0) {
    const Value* attribute = nullptr;
    for (uint32_t i = 0; i < args.num_named; ++i) {
      if (args.name(i) == "attribute") {
        attribute = &args.named[i];
      } else if (args.name(i) == "default") {
        iterator->has_default = !args.named[i].is(Kind::kNone);
        iterator->otherwise = args.named[i];
      } else {
        fail("FilterArgumentError", format_text("Unexpected keyword argument '{}'", args.name(i)));
      }
    }
    if (attribute == nullptr) {
      fail("FilterArgumentError", "map requires a filter argument");
    }
    iterator->path = AttributePath(runtime, attribute);
    return JinjaAccess::iterator(iterator);
  }
  const std::string_view name = args.values[0].text();
  iterator->filter = find_filter(name);
  if (iterator->filter == nullptr) {
    fail("TemplateRuntimeError", format_text("No filter named '{}'.", name));
  }
  iterator->args = keep(runtime, args, 1);
  return JinjaAccess::iterator(iterator);
}

template <bool wanted, bool by_attribute>
Value select(Runtime& runtime, const Value& self, const Args& args) {
  if (!truthy(self)) return nothing(runtime);
  runtime.reserve(sizeof(SelectIterator));
  auto* iterator = runtime.heap().make<SelectIterator>();
  iterator->source = ValueIterator(runtime, self);
  iterator->wanted = wanted;
  if (by_attribute) {
    if (args.count == 0) {
      fail("FilterArgumentError", "Missing parameter for attribute name");
    }
    iterator->path = AttributePath(runtime, &args.values[0]);
  }
  constexpr uint32_t kTest = by_attribute ? 1 : 0;
  if (args.count > kTest) {
    const std::string_view name = args.values[kTest].text();
    iterator->test = find_test(name);
    if (iterator->test == nullptr) {
      fail("TemplateRuntimeError", format_text("No test named '{}'.", name));
    }
    iterator->args = keep(runtime, args, kTest + 1);
  }
  return JinjaAccess::iterator(iterator);
}

struct UniqueIterator : Iterator {
  bool next(Runtime& runtime, Value& out) override {
    Value item;
    while (source.next(runtime, item)) {
      Value key = path.of(runtime, item);
      if (!case_sensitive) key = without_case(runtime, key);
      if (dict_find(seen, key, hash_of(key)) != nullptr) continue;
      set_member(runtime, seen, key, Value::none());
      out = item;
      return true;
    }
    return false;
  }

  ValueIterator source;
  AttributePath path;
  bool case_sensitive = false;
  Dict seen;
};

Value begin_unique(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_unique", args, {"case_sensitive", "attribute"});
  runtime.reserve(sizeof(UniqueIterator));
  auto* iterator = runtime.heap().make<UniqueIterator>();
  iterator->source = ValueIterator(runtime, self);
  iterator->case_sensitive = is_true(bound, 0);
  iterator->path = AttributePath(runtime, bound.has(1) ? &bound[1] : nullptr);
  return JinjaAccess::iterator(iterator);
}

// The elements of a list that is made when it is first read.
struct ListIterator : Iterator {
  bool next(Runtime& runtime, Value& out) override {
    (void)runtime;
    if (at == list->size) return false;
    out = list->items[at++];
    return true;
  }
  const List* list = nullptr;
  uint32_t at = 0;
};

Value yield_list(Runtime& runtime, const List& list, const char* type_name) {
  runtime.reserve(sizeof(ListIterator));
  auto* iterator = runtime.heap().make<ListIterator>();
  iterator->list = &list;
  iterator->type_name = type_name;
  return JinjaAccess::iterator(iterator);
}

Value reverse(Runtime& runtime, const Value& self, const Args& args) {
  Bound("do_reverse", args, {});
  if (is_string(self)) {
    const Value back = Value::integer(-1);
    return get_slice(runtime, self, nullptr, nullptr, &back);
  }
  if (!is_iterable(self)) fail("FilterArgumentError", "argument must be iterable");
  const Value copy = to_list(runtime, self);
  std::reverse(list_of(copy).items, list_of(copy).items + list_of(copy).size);
  const bool lasts = self.is(Kind::kIterator) || is_undefined(self);  // Python has no iterator
  return lasts ? copy : yield_list(runtime, list_of(copy), "list_reverseiterator");
}

Value begin_items(Runtime& runtime, const Value& self, const Args& args) {
  Bound("do_items", args, {});
  if (is_undefined(self)) return nothing(runtime);
  if (!self.is(Kind::kDict)) {
    fail("TypeError", "Can only get item pairs from a mapping.");
  }
  List* pairs = runtime.new_list(dict_of(self).size);
  for (uint32_t i = 0; i < dict_of(self).size; ++i) {
    const DictEntry& entry = dict_of(self).entries[i];
    pairs->items[pairs->size++] = make_tuple(runtime, {entry.key, entry.value});
  }
  return yield_list(runtime, *pairs, "generator");
}

int64_t count_argument(const Value& value) {
  if (!is_integer(value)) {
    type_error("'{}' object cannot be interpreted as an integer", type_name(value));
  }
  return whole_of(value);
}

Value begin_batch(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_batch", args, {"linecount", "fill_with"}, 1);
  const int64_t size = count_argument(bound[0]);
  List* batches = runtime.new_list(0);
  List* batch = runtime.new_list(0);
  ValueIterator iterator(runtime, self);
  Value item;
  while (iterator.next(runtime, item)) {
    if (static_cast<int64_t>(batch->size) == size) {
      runtime.push(*batches, JinjaAccess::list(batch, self.origin()));
      batch = runtime.new_list(0);
    }
    runtime.push(*batch, item);
  }
  if (batch->size > 0) {
    const bool fill = bound.has(1) && !bound[1].is(Kind::kNone);
    while (fill && static_cast<int64_t>(batch->size) < size) {
      runtime.step();
      runtime.push(*batch, bound[1]);
    }
    runtime.push(*batches, JinjaAccess::list(batch, self.origin()));
  }
  return yield_list(runtime, *batches, "generator");
}

Value begin_slice(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_slice", args, {"slices", "fill_with"}, 1);
  const int64_t slices = count_argument(bound[0]);
  const List& all = list_of(to_list(runtime, self));
  if (slices == 0) {
    fail("ZeroDivisionError", "integer division or modulo by zero");
  }
  List* made = runtime.new_list(0);
  const int64_t each = all.size / std::max<int64_t>(slices, 1);
  const int64_t with_extra = all.size % std::max<int64_t>(slices, 1);
  uint32_t at = 0;
  for (int64_t i = 0; i < slices; ++i) {
    runtime.step();
    List* part = runtime.new_list(0);
    const int64_t size = each + (i < with_extra ? 1 : 0);
    for (int64_t j = 0; j < size; ++j) runtime.push(*part, all.items[at++]);
    const bool fill = bound.has(1) && !bound[1].is(Kind::kNone) && i >= with_extra;
    if (fill) runtime.push(*part, bound[1]);
    runtime.push(*made, JinjaAccess::list(part, self.origin()));
  }
  return yield_list(runtime, *made, "generator");
}

// The arguments are judged at once.
Value unique(Runtime& runtime, const Value& self, const Args& args) {
  Bound("do_unique", args, {"case_sensitive", "attribute"});
  return deferred<begin_unique>(runtime, self, args);
}

Value batch(Runtime& runtime, const Value& self, const Args& args) {
  Bound("do_batch", args, {"linecount", "fill_with"}, 1);
  return deferred<begin_batch>(runtime, self, args);
}

Value slice(Runtime& runtime, const Value& self, const Args& args) {
  Bound("do_slice", args, {"slices", "fill_with"}, 1);
  return deferred<begin_slice>(runtime, self, args);
}

Value items(Runtime& runtime, const Value& self, const Args& args) {
  Bound("do_items", args, {});
  return deferred<begin_items>(runtime, self, args);
}

constexpr NamedFunction kFilters[] = {
    {"batch", batch},
    {"items", items},
    {"map", deferred<map>},
    {"reject", deferred<select<false, false>>},
    {"rejectattr", deferred<select<false, true>>},
    {"reverse", reverse},
    {"select", deferred<select<true, false>>},
    {"selectattr", deferred<select<true, true>>},
    {"slice", slice},
    {"unique", unique},
};

}  // namespace

FunctionBody find_lazy_filter(std::string_view name) {
  for (const NamedFunction& filter : kFilters) {
    if (filter.name == name) return filter.body;
  }
  return nullptr;
}

}  // namespace trireme::jinja
