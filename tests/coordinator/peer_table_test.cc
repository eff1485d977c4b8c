#include "coordinator/doors/peer_table.h"

#include <gtest/gtest.h>

namespace trireme {
namespace peer_table_test {

using Gone = std::vector<PeerId>;

TEST(PeerTable, AConnectionKeepsItsNumberUntilItsDescriptorDisconnects) {
  PeerTable table;
  Gone gone;
  table.accepted(7);
  const PeerId peer = table.add("a", 7, gone);
  EXPECT_EQ(table.known("a", 7), peer);
  table.disconnected(7);
  EXPECT_EQ(table.known("a", 7), peer) << "its last frames may be unread";
  table.forget_ended(gone);
  EXPECT_EQ(gone, Gone{peer});
  EXPECT_EQ(table.known("a", 7), 0u);
  EXPECT_EQ(table.find(peer), nullptr);
}

TEST(PeerTable, ADescriptorThatIsReusedMakesANewPeer) {
  PeerTable table;
  Gone gone;
  table.accepted(7);
  const PeerId first = table.add("a", 7, gone);
  EXPECT_EQ(table.known("b", 7), 0u);
  const PeerId second = table.add("b", 7, gone);
  EXPECT_NE(first, second);
  EXPECT_EQ(gone, Gone{first});
  EXPECT_EQ(table.known("b", 7), second);
}

TEST(PeerTable, APeerThatEndedIsKnownBesideTheNextPeerOfItsDescriptor) {
  PeerTable table;
  Gone gone;
  table.accepted(7);
  const PeerId first = table.add("a", 7, gone);
  table.disconnected(7);
  table.accepted(7);
  const PeerId second = table.add("b", 7, gone);
  EXPECT_TRUE(gone.empty());
  EXPECT_EQ(table.known("a", 7), first);
  table.forget_ended(gone);
  EXPECT_EQ(gone, Gone{first});
  EXPECT_EQ(table.known("b", 7), second);
  gone.clear();
  table.disconnected(7);
  table.forget_ended(gone);
  EXPECT_EQ(gone, Gone{second});
}

TEST(PeerTable, ARoutingIdThatComesBackOnAnotherDescriptorMakesANewPeer) {
  PeerTable table;
  Gone gone;
  table.accepted(7);
  table.accepted(8);
  const PeerId first = table.add("a", 7, gone);
  EXPECT_EQ(table.known("a", 8), 0u);
  const PeerId second = table.add("a", 8, gone);
  EXPECT_EQ(gone, Gone{first});
  gone.clear();
  table.disconnected(7);
  table.forget_ended(gone);
  EXPECT_TRUE(gone.empty()) << "the old descriptor is nobody's";
  EXPECT_EQ(table.known("a", 8), second);
}

TEST(PeerTable, APeerIsGoneAfterFramesThatOutlivedItsConnection) {
  PeerTable table;
  Gone gone;
  table.accepted(7);
  table.disconnected(7);
  const PeerId peer = table.add("a", 7, gone);
  EXPECT_EQ(table.known("a", 7), peer);
  table.forget_ended(gone);
  EXPECT_EQ(gone, Gone{peer});
  table.accepted(8);
  table.add("b", 8, gone);
  gone.clear();
  table.forget_ended(gone);
  EXPECT_TRUE(gone.empty());
}

TEST(PeerTable, ADescriptorOnWhichNothingWasSentHasNoPeer) {
  PeerTable table;
  Gone gone;
  table.accepted(7);
  table.disconnected(7);
  table.forget_ended(gone);
  EXPECT_TRUE(gone.empty());
}

}  // namespace peer_table_test
}  // namespace trireme
