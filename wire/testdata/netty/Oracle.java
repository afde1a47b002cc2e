import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.LengthFieldBasedFrameDecoder;
import io.netty.handler.codec.LengthFieldPrepender;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.io.PrintWriter;
import java.nio.ByteOrder;
import java.util.StringJoiner;

/**
 * Writes, behind each case on standard input, what Netty makes of it. README.md beside this file has
 * the format of a line and how to run it.
 */
public class Oracle {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, "US-ASCII"));
        try (PrintWriter out = new PrintWriter(new BufferedWriter(new OutputStreamWriter(System.out, "US-ASCII")))) {
            for (String line; (line = in.readLine()) != null; ) {
                String[] columns = line.split("\t", -1);
                StringJoiner events = new StringJoiner("\t");
                String[] parameters = columns[1].split(" ");
                String[] pieces = columns[2].split(" ");
                if (columns[0].equals("decode")) {
                    decode(parameters, pieces, events);
                } else {
                    prepend(parameters, pieces, events);
                }
                out.print(columns[0] + "\t" + columns[1] + "\t" + columns[2] + "\t" + events + "\n");
            }
        }
    }

    static void decode(String[] p, String[] pieces, StringJoiner events) {
        LengthFieldBasedFrameDecoder decoder;
        try {
            decoder = new LengthFieldBasedFrameDecoder(order(p[0]), Integer.parseInt(p[1]), Integer.parseInt(p[2]),
                    Integer.parseInt(p[3]), Integer.parseInt(p[4]), Integer.parseInt(p[5]), p[6].equals("fast"));
        } catch (IllegalArgumentException e) {
            record(events, e);
            return;
        }
        EmbeddedChannel channel = new EmbeddedChannel(decoder, new ChannelInboundHandlerAdapter() {
            @Override
            public void channelRead(ChannelHandlerContext ctx, Object message) {
                ByteBuf frame = (ByteBuf) message;
                events.add("frame " + ByteBufUtil.hexDump(frame));
                frame.release();
            }

            @Override
            public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
                record(events, cause);
            }
        });
        for (String piece : pieces) {
            channel.writeInbound(bytes(piece));
        }
        channel.finish();
    }

    static void prepend(String[] p, String[] pieces, StringJoiner events) {
        EmbeddedChannel channel = new EmbeddedChannel(new LengthFieldPrepender(
                order(p[0]), Integer.parseInt(p[1]), Integer.parseInt(p[2]), p[3].equals("includes")));
        for (String piece : pieces) {
            try {
                channel.writeOutbound(bytes(piece));
                StringBuilder written = new StringBuilder();
                for (ByteBuf part; (part = channel.readOutbound()) != null; part.release()) {
                    written.append(ByteBufUtil.hexDump(part));
                }
                events.add("frame " + written);
            } catch (Exception e) {
                record(events, e.getCause() == null ? e : e.getCause());
            }
        }
        channel.finish();
    }

    static void record(StringJoiner events, Throwable e) {
        events.add(e.getClass().getSimpleName() + " " + e.getMessage());
    }

    static ByteOrder order(String name) {
        return name.equals("little") ? ByteOrder.LITTLE_ENDIAN : ByteOrder.BIG_ENDIAN;
    }

    /** A number of zero bytes ("0*300") or hexadecimal digits; "-" is no bytes. */
    static ByteBuf bytes(String piece) {
        if (piece.equals("-")) {
            return Unpooled.buffer(0);
        }
        if (piece.startsWith("0*")) {
            return Unpooled.wrappedBuffer(new byte[Integer.parseInt(piece.substring(2))]);
        }
        return Unpooled.wrappedBuffer(ByteBufUtil.decodeHexDump(piece));
    }
}
