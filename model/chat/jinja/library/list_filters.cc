// Filters of lists and dicts that give a value at once.
#include <algorithm>
#include <vector>

#include "model/chat/jinja/values/library.h"
#include "model/chat/jinja/values/methods.h"
#include "model/chat/jinja/values/operators.h"
#include "model/chat/jinja/values/text_builder.h"

namespace trireme::jinja {

namespace {

Value default_value(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_default", args, {"default_value", "boolean"});
  if (!is_undefined(self) && (!is_true(bound, 1) || truthy(self))) return self;
  return bound.has(0) ? bound[0] : runtime.string("");
}

Value length_filter(Runtime& runtime, const Value& self, const Args& args) {
  Bound("len", args, {});
  return Value::integer(length(runtime, self), self.origin());
}

Value first(Runtime& runtime, const Value& self, const Args& args) {
  Bound("do_first", args, {});
  ValueIterator iterator(runtime, self);
  Value item;
  if (iterator.next(runtime, item)) return item;
  return runtime.undefined_hint("No first item, sequence was empty.");
}

Value last(Runtime& runtime, const Value& self, const Args& args) {
  Bound("do_last", args, {});
  if (self.is(Kind::kIterator) || !is_iterable(self)) {
    type_error("'{}' object is not reversible", type_name(self));
  }
  const int64_t size = length(runtime, self);
  if (size == 0) return runtime.undefined_hint("No last item, sequence was empty.");
  if (self.is(Kind::kDict)) return dict_of(self).entries[size - 1].key;
  if (self.is(Kind::kDictView)) return list_of(self).items[size - 1];
  return get_item(runtime, self, Value::integer(size - 1));
}

Value list(Runtime& runtime, const Value& self, const Args& args) {
  Bound("do_list", args, {});
  return to_list(runtime, self);
}

// An element and the key that it is sorted by.
struct Keyed {
  Value key;
  Value item;
};

void sort_by_key(Runtime& runtime, std::vector<Keyed>& items, bool reverse) {
  // Equal elements keep their order when reversed, too.
  if (reverse) std::reverse(items.begin(), items.end());
  merge_sort(items, [&](const Keyed& a, const Keyed& b) { return less(runtime, a.key, b.key); });
  if (reverse) std::reverse(items.begin(), items.end());
}

Value sort(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_sort", args, {"reverse", "case_sensitive", "attribute"});
  const bool case_sensitive = is_true(bound, 1);
  std::vector<AttributePath> paths;
  const bool is_text = bound.has(2) && is_string(bound[2]);
  if (is_text) {  // "a,b": by a, then by b
    const Value comma = runtime.string(",");
    const Value pieces =
        find_text_method("split")->body(runtime, bound[2], {&comma, 1, nullptr, nullptr, 0});
    for (uint32_t i = 0; i < list_of(pieces).size; ++i) {
      paths.emplace_back(runtime, &list_of(pieces).items[i]);
    }
  } else {
    paths.emplace_back(runtime, bound.has(2) ? &bound[2] : nullptr);
  }
  ValueIterator iterator(runtime, self);
  std::vector<Keyed> items;
  Value item;
  while (iterator.next(runtime, item)) {
    List* keys = runtime.new_list(paths.size());
    for (const AttributePath& path : paths) {
      const Value key = path.of(runtime, item);
      keys->items[keys->size++] = case_sensitive ? key : without_case(runtime, key);
    }
    items.push_back({JinjaAccess::list(keys, Origin::kTemplate), item});
  }
  sort_by_key(runtime, items, is_true(bound, 0));
  List* sorted = runtime.new_list(items.size());
  for (const Keyed& keyed : items) sorted->items[sorted->size++] = keyed.item;
  return JinjaAccess::list(sorted, self.origin());
}

Value dict_sort(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_dictsort", args, {"case_sensitive", "by", "reverse"});
  const std::string_view by = bound.has(1) ? bound[1].text() : "key";
  if (by != "key" && by != "value") {
    fail("FilterArgumentError", "You can only sort by either \"key\" or \"value\"");
  }
  if (is_undefined(self)) fail_undefined(runtime, self);
  if (!self.is(Kind::kDict)) {
    fail("AttributeError", format_text("'{}' object has no attribute 'items'", type_name(self)));
  }
  std::vector<Keyed> items;
  for (uint32_t i = 0; i < dict_of(self).size; ++i) {
    const DictEntry& entry = dict_of(self).entries[i];
    const Value& key = by == "key" ? entry.key : entry.value;
    items.push_back({is_true(bound, 0) ? key : without_case(runtime, key),
                     make_tuple(runtime, {entry.key, entry.value})});
  }
  sort_by_key(runtime, items, is_true(bound, 2));
  List* sorted = runtime.new_list(items.size());
  for (const Keyed& keyed : items) sorted->items[sorted->size++] = keyed.item;
  return JinjaAccess::list(sorted, self.origin());
}

Value group_by(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_groupby", args, {"attribute", "default", "case_sensitive"}, 1);
  const AttributePath path(runtime, &bound[0]);
  const Value* otherwise = bound.has(1) && !bound[1].is(Kind::kNone) ? &bound[1] : nullptr;
  const bool case_sensitive = is_true(bound, 2);
  std::vector<Keyed> items;
  ValueIterator iterator(runtime, self);
  Value item;
  while (iterator.next(runtime, item)) {
    const Value key = path.of(runtime, item, otherwise);
    items.push_back({case_sensitive ? key : without_case(runtime, key), item});
  }
  sort_by_key(runtime, items, false);
  List* groups = runtime.new_list(0);
  for (size_t i = 0; i < items.size();) {
    List* members = runtime.new_list(0);
    const size_t begin = i;
    for (; i < items.size() && equal(runtime, items[begin].key, items[i].key); ++i) {
      runtime.push(*members, items[i].item);
    }
    if (i == begin) runtime.push(*members, items[i++].item);  // NaN equals nothing
    const Value grouper =
        case_sensitive ? items[begin].key : path.of(runtime, items[begin].item, otherwise);
    Value group = make_tuple(runtime, {grouper, JinjaAccess::list(members, self.origin())});
    JinjaAccess::set_group(group);
    runtime.push(*groups, group);
  }
  return JinjaAccess::list(groups, self.origin());
}

template <bool greatest>
Value extreme(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_min", args, {"case_sensitive", "attribute"});
  const AttributePath path(runtime, bound.has(1) ? &bound[1] : nullptr);
  const auto key_of = [&](const Value& item) {
    const Value key = path.of(runtime, item);
    return is_true(bound, 0) ? key : without_case(runtime, key);
  };
  ValueIterator iterator(runtime, self);
  Value item;
  if (!iterator.next(runtime, item)) {
    return runtime.undefined_hint("No aggregated item, sequence was empty.");
  }
  Keyed best = {key_of(item), item};
  while (iterator.next(runtime, item)) {
    const Value key = key_of(item);
    const Comparison better = greatest ? Comparison::kGreater : Comparison::kLess;
    if (compare(runtime, better, key, best.key)) best = {key, item};
  }
  return best.item;
}

Value sum(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_sum", args, {"attribute", "start"});
  const AttributePath path(runtime, bound.has(0) ? &bound[0] : nullptr);
  Value total = bound.value_or(1, Value::integer(0));
  if (is_string(total)) fail("TypeError", "sum() can't sum strings [use ''.join(seq) instead]");
  ValueIterator iterator(runtime, self);
  Value item;
  while (iterator.next(runtime, item)) {
    total = arithmetic(runtime, Operator::kAdd, total, path.of(runtime, item));
  }
  return total;
}

Value attribute(Runtime& runtime, const Value& self, const Args& args) {
  const Bound bound("do_attr", args, {"name"}, 1);
  if (self.is(Kind::kDict)) {  // attributes only, no members
    Value name = bound[0];
    if (find_method(Kind::kDict, name.text()) == nullptr) {
      return runtime.undefined_member(self, name);
    }
  }
  if (!is_string(bound[0])) return runtime.undefined_member(self, bound[0]);
  return get_attribute(runtime, self, bound[0]);
}

constexpr NamedFunction kFilters[] = {
    {"attr", attribute},
    {"count", length_filter},
    {"d", default_value},
    {"default", default_value},
    {"dictsort", dict_sort},
    {"first", first},
    {"groupby", group_by},
    {"last", last},
    {"length", length_filter},
    {"list", list},
    {"max", extreme<true>},
    {"min", extreme<false>},
    {"sort", sort},
    {"sum", sum},
};

}  // namespace

AttributePath::AttributePath(Runtime& runtime, const Value* attribute) {
  if (attribute == nullptr || attribute->is(Kind::kNone)) return;
  if (!is_string(*attribute)) {
    runtime.push(parts_, *attribute);
    return;
  }
  const Value dot = runtime.string(".");
  const Value pieces =
      find_text_method("split")->body(runtime, *attribute, {&dot, 1, nullptr, nullptr, 0});
  const List& parts = list_of(pieces);
  for (uint32_t i = 0; i < parts.size; ++i) {
    const std::string_view text = parts.items[i].text();
    const bool is_index = !text.empty() && text.size() < 18 &&
                          text.find_first_not_of("0123456789") == std::string_view::npos;
    if (!is_index) {
      runtime.push(parts_, parts.items[i]);
      continue;
    }
    int64_t index = 0;
    for (const char c : text) index = index * 10 + (c - '0');
    runtime.push(parts_, Value::integer(index));
  }
}

Value AttributePath::of(Runtime& runtime, Value item, const Value* otherwise) const {
  for (uint32_t i = 0; i < parts_.size; ++i) {
    runtime.step();
    item = get_item(runtime, item, parts_.items[i]);
    if (otherwise != nullptr && is_undefined(item)) item = *otherwise;
  }
  return item;
}

Value without_case(Runtime& runtime, const Value& value) {
  if (!is_string(value)) return value;
  return change_case(runtime, text_of(value), CaseChange::kLower);
}

bool is_true(const Bound& bound, uint32_t index) {
  return bound.has(index) && truthy(bound[index]);
}

FunctionBody find_list_filter(std::string_view name) {
  for (const NamedFunction& filter : kFilters) {
    if (filter.name == name) return filter.body;
  }
  return nullptr;
}

}  // namespace trireme::jinja
