// Line plots as inline SVG, without scripts; colours come from the page's style. Pure functions.
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

// The x axis is logarithmic (base 2) if the values span more than a factor of 4; y begins at 0.
std::string draw_svg(const Plot& plot);

// About `count` round values from 0 to at least `max_value`, in steps of 1, 2 or 5 x 10^n.
std::vector<double> nice_ticks(double max_value, int count);

std::string escape_html(const std::string& text);

}  // namespace trireme
