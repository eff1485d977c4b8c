#include "clients/cli/bench/svg_plot.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/text.h"

namespace trireme {

namespace {

constexpr double kWidth = 560;
constexpr double kHeight = 320;
constexpr double kLeft = 64;
constexpr double kRight = 16;
constexpr double kTop = 34;
constexpr double kBottom = 46;
constexpr int kColors = 8;  // classes s0 to s7 of the page

std::string coordinate(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::string tick_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

class Canvas {
 public:
  explicit Canvas(const Plot& plot) : plot_(plot) {
    std::set<double> xs;
    double max_y = 0;
    for (const PlotSeries& series : plot.series) {
      for (const auto& [x, y] : series.points) {
        xs.insert(x);
        max_y = std::max(max_y, y);
      }
    }
    xs_.assign(xs.begin(), xs.end());
    if (xs_.empty()) xs_ = {0};
    is_log_ = xs_.front() > 0 && xs_.back() > 4 * xs_.front();
    y_ticks_ = nice_ticks(max_y, 5);
  }

  std::string draw() const;

 private:
  double scale(double x) const { return is_log_ ? std::log2(x) : x; }
  double at_x(double x) const {
    const double low = scale(xs_.front());
    const double span = scale(xs_.back()) - low;
    const double share = span > 0 ? (scale(x) - low) / span : 0.5;
    return kLeft + 14 + share * (kWidth - kLeft - kRight - 28);
  }
  double at_y(double y) const {
    return kHeight - kBottom - y / y_ticks_.back() * (kHeight - kTop - kBottom);
  }
  std::string text(double x, double y, const char* anchor, const std::string& words) const {
    return format_text("<text x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>\n",
                       coordinate(x),
                       coordinate(y),
                       anchor,
                       escape_html(words));
  }
  std::string axes() const;
  std::string line(const PlotSeries& series, int color) const;

  const Plot& plot_;
  std::vector<double> xs_;
  std::vector<double> y_ticks_;
  bool is_log_ = false;
};

std::string Canvas::axes() const {
  std::string svg;
  for (const double y : y_ticks_) {
    svg += format_text("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>\n",
                       coordinate(kLeft),
                       coordinate(kWidth - kRight),
                       coordinate(at_y(y)),
                       coordinate(at_y(y)));
    svg += text(kLeft - 8, at_y(y) + 4, "end", tick_text(y));
  }
  for (const double x : xs_) {
    svg += text(at_x(x), kHeight - kBottom + 18, "middle", tick_text(x));
  }
  svg += text((kLeft + kWidth - kRight) / 2, kHeight - 8, "middle", plot_.x_label);
  svg += format_text("<text class=\"title\" x=\"{}\" y=\"18\">{}</text>\n",
                     coordinate(kLeft),
                     escape_html(plot_.title));
  return svg + text(kLeft - 8, kTop - 4, "end", plot_.y_label);
}

std::string Canvas::line(const PlotSeries& series, int color) const {
  std::vector<std::pair<double, double>> points = series.points;
  std::ranges::sort(points);
  std::string path;
  std::string dots;
  for (const auto& [x, y] : points) {
    const std::string place = format_text("{},{}", coordinate(at_x(x)), coordinate(at_y(y)));
    path += (path.empty() ? "" : " ") + place;
    dots +=
        format_text("<circle cx=\"{}\" cy=\"{}\" r=\"3.5\"><title>{}: {}, {}</title></circle>\n",
                    coordinate(at_x(x)),
                    coordinate(at_y(y)),
                    escape_html(series.name),
                    tick_text(x),
                    tick_text(y));
  }
  return format_text(
      "<g class=\"s{}\"><polyline points=\"{}\"/>\n{}</g>\n", color % kColors, path, dots);
}

std::string Canvas::draw() const {
  std::string svg =
      format_text("<svg viewBox=\"0 0 {:g} {:g}\" role=\"img\">\n{}", kWidth, kHeight, axes());
  for (size_t i = 0; i < plot_.series.size(); ++i) {
    svg += line(plot_.series[i], static_cast<int>(i));
  }
  svg += "</svg>\n<p class=\"legend\">";
  for (size_t i = 0; i < plot_.series.size(); ++i) {
    svg += format_text(
        "<span class=\"k{}\">{}</span> ", i % kColors, escape_html(plot_.series[i].name));
  }
  return svg + "</p>\n";
}

}  // namespace

std::vector<double> nice_ticks(double max_value, int count) {
  if (!(max_value > 0)) return {0, 1};
  const double rough = max_value / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks = {0};
  while (ticks.back() < max_value) ticks.push_back(step * static_cast<double>(ticks.size()));
  return ticks;
}

std::string escape_html(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '&') {
      escaped += "&amp;";
    } else if (c == '<') {
      escaped += "&lt;";
    } else if (c == '>') {
      escaped += "&gt;";
    } else if (c == '"') {
      escaped += "&quot;";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string draw_svg(const Plot& plot) { return Canvas(plot).draw(); }

}  // namespace trireme
