// Line plots as inline SVG: no scripts, colours from the page's own style.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace trireme {

struct PlotSeries {
  std::string name;
  std::vector<std::pair<double, double>> points;  // (x, y), drawn by ascending x
};

struct Plot {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<PlotSeries> series;
};

// The x axis is logarithmic (base 2) where the values span more than a factor of 4; y begins at 0.
std::string draw_svg(const Plot& plot);

// Round values from 0 to at least `greatest`, about `count` of them: steps of 1, 2 or 5 x 10^n.
std::vector<double> nice_ticks(double greatest, int count);

std::string escape_html(const std::string& text);

}  // namespace trireme
