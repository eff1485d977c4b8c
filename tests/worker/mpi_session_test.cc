#include "worker/comm/mpi_session.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace trireme {
namespace mpi_session_test {

TEST(MpiLibrary, TellsItsVersionBeforeMpiStarts) {
  const std::string version = mpi_library_version();
  EXPECT_GE(std::atoi(version.c_str()), 4) << version;
  EXPECT_EQ(version.find_first_of(" ,"), std::string::npos) << version;
}

TEST(MpiLauncher, ThatIsLaterThanTheLibraryIsRefused) {
  EXPECT_TRUE(check_launcher("", "4.1.4").ok()) << "mpirun 4.1 and srun tell no version";
  EXPECT_TRUE(check_launcher("5.0.11", "5.0.3").ok());
  EXPECT_TRUE(check_launcher("4.1.4", "5.0.3").ok());
  const Status status = check_launcher("5.0.11", "4.1.4");
  EXPECT_EQ(error_id(status), "TRI-UP-043");
  EXPECT_NE(message_of(status).find("mpirun is Open MPI 5.0.11, trireme-worker loads the MPI "
                                    "library of Open MPI 4.1.4"),
            std::string::npos);
}

}  // namespace mpi_session_test
}  // namespace trireme
