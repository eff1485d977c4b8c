#include "tests/json_mutation.h"

namespace trireme {

using nlohmann::json;

namespace {

std::vector<json*> all_nodes(json& root) {
  std::vector<json*> nodes{&root};
  for (size_t i = 0; i < nodes.size(); ++i) {
    json& node = *nodes[i];
    if (!node.is_structured()) continue;
    for (json& child : node) nodes.push_back(&child);
  }
  return nodes;
}

}  // namespace

size_t below(Random& random, size_t bound) { return bound == 0 ? 0 : random() % bound; }

void mutate_node(json& top, const std::vector<json>& odd, Random& random) {
  std::vector<json*> nodes = all_nodes(top);
  json& target = *nodes[below(random, nodes.size())];
  switch (random() % 4) {
    case 0:
      target = odd[below(random, odd.size())];
      break;
    case 1: {
      json other = *nodes[below(random, nodes.size())];
      target = std::move(other);
      break;
    }
    case 2: {
      json& other = *nodes[below(random, nodes.size())];
      const json first = target;
      const json second = other;
      if (!first.is_structured() && !second.is_structured()) {
        target = second;
        other = first;
      }
      break;
    }
    default:
      if (target.is_object() && !target.empty()) {
        auto entry = target.begin();
        std::advance(entry, below(random, target.size()));
        target.erase(entry);
      } else if (target.is_array() && !target.empty()) {
        target.erase(below(random, target.size()));
      }
  }
}

std::string mutate_bytes(std::string text, Random& random) {
  const size_t at = below(random, text.size());
  switch (random() % 5) {
    case 0:
      for (int flips = 1 + below(random, 4); flips > 0; --flips) {
        text[below(random, text.size())] ^= 1 << below(random, 8);
      }
      break;
    case 1:
      text.resize(at);
      break;
    case 2:
      text.erase(at, 1 + below(random, 20));
      break;
    case 3:
      text.insert(at, text.substr(below(random, text.size()), 1 + below(random, 40)));
      break;
    default:
      for (int digits = 1 + below(random, 3); digits > 0; --digits) {
        const size_t found = text.find_first_of("0123456789", below(random, text.size()));
        if (found != std::string::npos) text[found] = '0' + below(random, 10);
      }
  }
  return text;
}

std::string mutate_text(const std::string& text, const std::vector<json>& odd, Random& random) {
  if (random() % 2) return mutate_bytes(text, random);
  json tree = json::parse(text);
  mutate_node(tree, odd, random);
  return tree.dump();
}

}  // namespace trireme
